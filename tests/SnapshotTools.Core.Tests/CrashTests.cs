using System.Globalization;
using SnapshotTools.Embedded;
using SnapshotTools.IO;
using SnapshotTools.Testing;
using SnapshotTools.Testing.Files;
using Xunit.Abstractions;

namespace SnapshotTools.Core.Tests;

/// <summary>
/// The process ends before every change to a file, of every operation, in turn. The store that is found then reads as before the
/// operation or as after it, and once it is opened and optimized nothing is left that nobody needs.
/// </summary>
public sealed class CrashTests(ITestOutputHelper output) : IDisposable
{
    private static readonly FileCall[] Changes =
        [FileCall.Create, FileCall.Write, FileCall.SetLength, FileCall.PunchHole, FileCall.CopyRange, FileCall.Flush, FileCall.Rename, FileCall.Delete, FileCall.ReplaceLink, FileCall.SetFrozen, FileCall.SyncDirectory];

    private readonly TempFolder _folder = new();
    private readonly HashSet<FileCall> _passed = [];

    public static TheoryData<string> Operations => [.. Acts.Keys];

    private static Dictionary<string, Action<SnapshotEngine, TempFolder>> Acts { get; } = new()
    {
        ["snapshot"] = (e, _) => e.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "c" }).Run(),
        ["volume snapshot"] = (e, _) => e.VolumeSnapshots.Create("db", "c", null, false).Run(),
        ["restore"] = (e, _) => e.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "a" }).Run(),
        ["restore with backup"] = (e, _) => e.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "a", KeepBackup = true }).Run(),
        ["volume restore"] = (e, _) => e.VolumeSnapshots.Restore("db", "a", false).Run(),
        ["remove, merging"] = (e, _) => e.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web01", Snapshot = "a" }).Run(),
        ["remove the last"] = (e, _) => e.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web01", Snapshot = "b" }).Run(),
        ["remove the tree"] = (e, _) => e.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web01", Snapshot = "a", IncludeChildren = true }).Run(),
        ["new volume"] = (e, _) => e.Volumes.Create(new NewVolumeRequest { Name = "new", SizeBytes = 1 << 20 }).Run(),
        ["import"] = (e, f) => e.Volumes.Create(new NewVolumeRequest { Name = "new", ImagePath = f.File("image.raw") }).Run(),
        ["linked volume"] = (e, _) => e.Volumes.Create(new NewVolumeRequest { Name = "new", FromVolumeSnapshot = e.VolumeSnapshots.Get("os", "a").Id }).Run(),
        ["resize"] = (e, _) => e.Volumes.Resize("spare", 2 << 20, false).Run(),
        ["remove volume"] = (e, _) => e.Volumes.Remove("spare", false).Run(),
        ["remove VM"] = (e, _) => e.Machines.Remove("web01", true, true).Run(),
    };

    [Theory]
    [MemberData(nameof(Operations))]
    public void Every_end_of_the_process_leaves_before_or_after(string operation)
    {
        string prepared = Prepare();
        var act = Acts[operation];
        string before = StateOf(prepared);
        string done = CopyOf(prepared);
        using (var engine = EmbeddedStore.Open(done)) act(engine, _folder);
        string after = StateOf(done);
        Assert.True(before != after, "the operation does nothing");

        int states = 0, asBefore = 0;
        foreach (var (kind, call) in Changes.SelectMany(k => Enumerable.Range(1, int.MaxValue - 1).Select(n => (k, n)).TakeWhile(_ => !_passed.Contains(k))))
        {
            string store = CopyOf(prepared);
            var files = new FaultyFileSystem(SystemFiles.Instance);
            using (var engine = EmbeddedStore.Open(files, store))
            {
                files.Fail(kind, call, FaultKind.Kill, always: true);
                var error = Record.Exception(() => act(engine, _folder));
                if (!files.Fired)
                {
                    Assert.Null(error);
                    _passed.Add(kind);
                }
            }
            if (!files.Fired)
            {
                Directory.Delete(store, recursive: true);
                continue;
            }
            states++;
            string found = StateOf(store);
            Assert.True(found == before || found == after, $"killed at {kind} {call} of '{operation}', the store reads as neither:\n{found}\nbefore:\n{before}\nafter:\n{after}");
            if (found == before) asBefore++;
            using (var engine = EmbeddedStore.Open(store))
            {
                engine.Optimize().Run();
                var findings = engine.Test();
                Assert.True(findings.Count == 0, $"killed at {kind} {call} of '{operation}': {string.Join("; ", findings)}");
                Assert.Equal(engine.GetStore().LayerCount, Directory.GetFiles(Path.Combine(store, "layers")).Length);
                Assert.Equal(engine.GetStore().VolumeCount, Directory.GetFiles(Path.Combine(store, "volumes")).Length);
                if (found == before) act(engine, _folder);   // what was not done can be done
            }
            Assert.Equal(after, StateOf(store));
            Directory.Delete(store, recursive: true);
        }
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{operation}: {states} crash states, {asBefore} as before, {states - asBefore} as after"));
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>A VM with two disks, two snapshots and a present of its own, and a volume that nobody has.</summary>
    private string Prepare()
    {
        using var store = new TestStore();
        foreach (string name in new[] { "os", "db", "spare" }) store.NewVolume(name, 512 << 10);
        store.Engine.Machines.Create(new NewVmRequest { Name = "web01", Volumes = [new AttachRequest("os"), new AttachRequest("db")] }).Run();
        store.Write("os", 0, 300_000, 1);
        store.Snapshot("web01", "a");
        store.Write("os", 200_000, 150_000, 2);
        store.Write("db", 0, 70_000, 3);
        store.Snapshot("web01", "b");
        store.Write("os", 0, 10, 4);
        store.Engine.Dispose();
        byte[] image = new byte[1 << 20];
        new Random(1).NextBytes(image.AsSpan(0, 200_000));
        File.WriteAllBytes(_folder.File("image.raw"), image);
        return CopyOf(store.Directory);
    }

    private string CopyOf(string store)
    {
        string copy = _folder.File(Guid.NewGuid().ToString("N"));
        Tool.Run("cp", ["-a", store, copy]);
        return copy;
    }

    /// <summary>All that a user can see: volumes, snapshots, what they read as, and how they hang together.</summary>
    private static string StateOf(string directory)
    {
        using var engine = EmbeddedStore.Open(directory);
        var lines = new List<string>();
        foreach (var vm in engine.Machines.Find()) lines.Add($"vm {vm.Name} {vm.State} at {(vm.CurrentSnapshot?.StartsWith("backup", StringComparison.Ordinal) == true ? "backup" : vm.CurrentSnapshot)}: {string.Join(' ', vm.Volumes)}");
        foreach (var volume in engine.Volumes.Find()) lines.Add($"volume {volume.Name} {volume.SizeBytes} {TestStore.HashFile(volume.Path)}");
        foreach (var s in engine.Snapshots.Find(new SnapshotQuery())) lines.Add($"snapshot {Plain(s.Name)} on {s.ParentName}: {string.Join(' ', s.Volumes.Select(v => TestStore.HashFile(v.Path)))}");
        foreach (var s in engine.VolumeSnapshots.Find([], [])) lines.Add($"volume snapshot {s.VolumeName} {Plain(s.Name)}");
        return string.Join('\n', lines);

        static string Plain(string name) => name.StartsWith("backup-", StringComparison.Ordinal) ? "backup" : name;
    }
}
