using SnapshotTools.Core;
using SnapshotTools.Guest;
using Xunit;
using Xunit.Abstractions;

namespace SnapshotTools.Qemu.Tests.Live;

/// <summary>What the guest feels of a snapshot, by its own measure; and several machines at once.</summary>
[Collection(LiveTests.Name)]
public sealed class PauseTests(ITestOutputHelper output) : IDisposable
{
    private readonly LiveStore _store = new();

    public void Dispose() => _store.Dispose();

    [GuestFact]
    public async Task The_gap_that_the_guest_measures_is_told_beside_the_pause_of_four_disks_and_of_1_gib()
    {
        _store.AddVm("web01", disks: 4, memoryMiB: 1024);
        using var shell = await _store.StartAndWorkAsync("web01", memoryMiB: 256);
        using var ticks = _store.ListenToTicks("web01");
        await LiveStore.WaitForWorkAsync(shell);
        ticks.Take();
        await LiveStore.WaitForWorkAsync(shell);
        output.WriteLine($"at rest: largest gap {ticks.Take().Gap.TotalMilliseconds:0.0} ms by the host's clock, {await GapAsync(shell):0.0} ms by the guest's");
        foreach (bool memory in new[] { false, true })
        {
            await shell.RunAsync("true >/run/work");
            ticks.Take();
            var snapshot = _store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = memory ? "checkpoint" : "disks", Memory = memory }).Run();
            await LiveStore.WaitForWorkAsync(shell);
            output.WriteLine($"{(memory ? "checkpoint of 1 GiB and 4 disks" : "snapshot of 4 disks")}: PauseDuration {snapshot.PauseDuration!.Value.TotalMilliseconds:0.0} ms, "
                + $"largest gap {ticks.Take().Gap.TotalMilliseconds:0.0} ms by the host's clock, {await GapAsync(shell):0.0} ms between two records by the guest's; {ByteSize.Format(snapshot.SizeBytes)}");
            Assert.Equal(4, snapshot.Volumes.Count);
            Assert.Equal(memory, snapshot.HasMemory);
            Assert.True(snapshot.PauseDuration > TimeSpan.Zero);
        }
        _store.TurnOff("web01");
    }

    [GuestFact("e2fsck", "debugfs")]
    public async Task Four_machines_are_snapshotted_and_merged_at_once()
    {
        string[] names = ["m1", "m2", "m3", "m4"];
        foreach (string name in names) _store.AddVm(name, disks: 1, memoryMiB: 96);
        foreach (string name in names) _store.Engine.Machines.Start(name).Run();
        foreach (string name in names)
        {
            var shell = await _store.ConnectAsync(name);
            await LiveStore.StartWorkAsync(shell, disks: 1, memoryMiB: 8);
        }
        await Task.WhenAll(names.Select(name => Task.Run(() =>
        {
            using var engine = _store.Open();
            var wait = new RunOptions { WaitForLock = TimeSpan.FromSeconds(30) };
            for (int i = 1; i <= 3; i++) engine.Snapshots.Create(new NewSnapshotRequest { Vm = name, Name = $"s{i}", Memory = i == 2 }).Run(wait);
            for (int i = 2; i >= 1; i--) engine.Snapshots.Remove(new RemoveSnapshotRequest { Vm = name, Snapshot = $"s{i}" }).Run(wait);
        }))).WaitAsync(TimeSpan.FromSeconds(120));
        foreach (string name in names) _store.TurnOff(name);
        Assert.Equal(8, _store.CountLayers());
        foreach (string name in names)
        {
            long there = _store.LastRecordOf($"{name}-0", null, "first"), then = _store.LastRecordOf($"{name}-0", "s3", "first");
            output.WriteLine($"{name}: record {then} in s3, {there} in the end");
            Assert.True(then >= 1 && there >= then);
        }
        Assert.DoesNotContain(_store.Engine.Test(), f => f.Severity == FindingSeverity.Error);
    }

    /// <summary>The largest gap between two records that the workload has told of since the file was emptied, in milliseconds.</summary>
    private static async Task<double> GapAsync(GuestShell shell) =>
        double.Parse((await shell.RunAsync("awk '$4 > m { m = $4 } END { print m + 0 }' /run/work")).Trim(), System.Globalization.CultureInfo.InvariantCulture) / 1000;
}
