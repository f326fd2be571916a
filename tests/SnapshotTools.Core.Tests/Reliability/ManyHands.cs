using System.Diagnostics;
using System.Globalization;
using SnapshotTools.Embedded;
using SnapshotTools.Testing;
using Xunit.Abstractions;

namespace SnapshotTools.Core.Tests.Reliability;

/// <summary>Many processes at one store, left alone or killed at any moment: no update is lost, nobody waits for ever, and the store tests clean.</summary>
[Trait("Category", "Torture")]
[Collection("Processes")]   // two such at once would take the processors from each other
public sealed class ManyHands(ITestOutputHelper output) : IDisposable
{
    /// <summary>How many VMs the workers share.</summary>
    public const int Vms = 6;

    private readonly TempFolder _folder = TempFolder.InMemory();
    private readonly List<Hand> _hands = [];

    private string Store => _folder.File("store");

    [Fact]
    public void Thirty_two_processes_lose_no_update()
    {
        Prepare();
        double seconds = 12 * Effort.Factor;
        for (int i = 0; i < 32; i++) Start(i, seconds);
        foreach (var hand in _hands) Assert.True(hand.Process.WaitForExit(TimeSpan.FromSeconds(seconds + 150)), $"process {hand.Id} did not end: {hand.Last}");
        foreach (var hand in _hands) hand.Process.WaitForExit();     // without a limit it waits for all that the process said, too
        foreach (var hand in _hands) Assert.True(hand.Process.ExitCode == 0, $"process {hand.Id} (seed {Effort.Seed}): {hand.Last}");

        int done = Judge();
        Effort.Count("operations of 32 processes", done);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{done} operations of 32 processes, {_hands.Sum(h => h.Lines.Count(l => l.StartsWith("x ", StringComparison.Ordinal)))} refused, none lost"));
    }

    [Fact]
    public void Killed_processes_leave_nothing_behind()
    {
        Prepare();
        var random = new Random(Effort.Seed);
        var clock = Stopwatch.StartNew();
        const int together = 4;
        int kills = 0, wanted = 100 * Effort.Factor;
        var limit = TimeSpan.FromSeconds(45 * Effort.Factor);
        var working = Enumerable.Range(0, together).Select(i => Start(i, 600)).ToList();
        while (kills < wanted && clock.Elapsed < limit)
        {
            var victim = working[random.Next(together)];
            Assert.True(SpinWait.SpinUntil(() => victim.IsReady || victim.Process.HasExited, TimeSpan.FromSeconds(60)), "a process does not begin: " + victim.Last);
            Thread.Sleep(random.Next(120));
            Assert.False(victim.Process.HasExited, $"a process ended by itself (seed {Effort.Seed}): {victim.Last}");
            victim.Process.Kill();
            victim.Process.WaitForExit();
            kills++;
            working[working.IndexOf(victim)] = Start(together + kills, 600);
            if (kills % 10 == 0)
            {
                // Whoever comes next settles what was left, beside those that work on.
                using var engine = EmbeddedStore.Open(Store);
                Assert.Equal(Vms, engine.Machines.Find().Count);
            }
        }
        foreach (var hand in working) hand.Process.Kill();
        foreach (var hand in working) hand.Process.WaitForExit();
        kills += together;

        int done = Judge();
        Effort.Count("kills", kills);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{kills} processes killed in {clock.Elapsed.TotalSeconds:0} s (seed {Effort.Seed}), {done} operations done"));
    }

    public void Dispose()
    {
        foreach (var hand in _hands)
        {
            if (!hand.Process.HasExited) hand.Process.Kill();
            hand.Process.Dispose();
        }
        _folder.Dispose();
    }

    /// <summary>VMs with a disk of known content each, and a snapshot to go back to.</summary>
    private void Prepare()
    {
        EmbeddedStore.Initialize(Store).Run();
        using var engine = EmbeddedStore.Open(Store);
        for (int i = 0; i < Vms; i++)
        {
            string image = _folder.File($"image{i}.raw");
            byte[] content = new byte[256 << 10];
            content.AsSpan(0, 100_000).Fill((byte)(i + 1));
            File.WriteAllBytes(image, content);
            engine.Volumes.Create(new NewVolumeRequest { Name = $"disk{i}", ImagePath = image }).Run();
            engine.Machines.Create(new NewVmRequest { Name = $"vm{i}", Volumes = [new AttachRequest($"disk{i}")] }).Run();
            engine.Snapshots.Create(new NewSnapshotRequest { Vm = $"vm{i}", Name = "first" }).Run();
        }
    }

    private Hand Start(int id, double seconds)
    {
        string dotnet = Environment.ProcessPath is { } p && Path.GetFileNameWithoutExtension(p) == "dotnet" ? p : "dotnet";
        var hand = new Hand(id, new Process
        {
            StartInfo = new ProcessStartInfo(dotnet, ["exec", typeof(Worker).Assembly.Location, "work", Store, $"h{id}", $"{unchecked((Effort.Seed * 7919) + id)}", seconds.ToString(CultureInfo.InvariantCulture)])
            {
                RedirectStandardOutput = true,
                Environment = { ["DOTNET_TieredPGO"] = "0", ["DOTNET_gcServer"] = "0", ["DOTNET_GCHeapCount"] = "1" },
            },
        });
        hand.Process.OutputDataReceived += (_, e) => hand.Take(e.Data);
        hand.Process.Start();
        hand.Process.BeginOutputReadLine();
        _hands.Add(hand);
        return hand;
    }

    /// <summary>Compares what the store holds with what the processes said that they did. Gives how much they did.</summary>
    private int Judge()
    {
        using var engine = EmbeddedStore.Open(Store);
        engine.Optimize().Run();
        StoreScenario.AssertClean(engine);
        Assert.DoesNotContain(engine.Operations.Find(), o => o.State == OperationState.Running);

        var lines = _hands.SelectMany(h => h.Lines).ToList();
        HashSet<string> Said(string mark) => [.. lines.Where(l => l.StartsWith(mark + " ", StringComparison.Ordinal)).Select(l => l[(mark.Length + 1)..])];
        var (made, removed, begun, doomed) = (Said("+"), Said("-"), Said("?+"), Said("?-"));
        var there = engine.Snapshots.Find(new SnapshotQuery()).Where(s => s.Name != "first").Select(s => $"{s.VmName}/{s.Name}").ToHashSet();
        Assert.Empty(there.Except(begun));                                  // nothing that nobody made
        Assert.Empty(there.Intersect(removed));                             // what was removed is gone
        Assert.Empty(made.Except(there).Except(removed).Except(doomed));    // what was made, and nobody set out to remove, is there

        for (int i = 0; i < Vms; i++)
        {
            string wanted = TestStore.HashFile(engine.Volumes.Get($"disk{i}").Path);
            byte[] content = new byte[256 << 10];
            content.AsSpan(0, 100_000).Fill((byte)(i + 1));
            Assert.Equal(Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(content)), wanted);
            foreach (var snapshot in engine.Snapshots.Find(new SnapshotQuery { Vms = [$"vm{i}"] })) Assert.Equal(wanted, TestStore.HashFile(snapshot.Volumes[0].Path));
        }
        return lines.Count(l => l[0] is not ('?' or '#' or 'x'));
    }

    private sealed class Hand(int id, Process process)
    {
        private readonly List<string> _lines = [];

        public int Id { get; } = id;

        public Process Process { get; } = process;

        public bool IsReady { get; private set; }

        public List<string> Lines
        {
            get
            {
                lock (_lines) return [.. _lines];
            }
        }

        public string Last => string.Join(" / ", Lines.TakeLast(3));

        public void Take(string? line)
        {
            if (line is null) return;
            if (line == "ready") IsReady = true;
            lock (_lines) _lines.Add(line);
        }
    }
}
