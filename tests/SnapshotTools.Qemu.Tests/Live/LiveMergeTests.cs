using System.Diagnostics;
using SnapshotTools.Core;
using SnapshotTools.Guest;
using Xunit;
using Xunit.Abstractions;

namespace SnapshotTools.Qemu.Tests.Live;

/// <summary>Removing snapshots of a guest at work: its layers are merged under it.</summary>
[Collection(LiveTests.Name)]
public sealed class LiveMergeTests(ITestOutputHelper output) : IDisposable
{
    private readonly LiveStore _store = new();

    public void Dispose() => _store.Dispose();

    [GuestFact("e2fsck", "debugfs")]
    public async Task Twenty_snapshots_under_load_and_then_none_and_every_synced_record_is_there()
    {
        _store.AddVm("web01");
        using var shell = await _store.StartAndWorkAsync("web01");
        var pauses = new List<double>();
        for (int i = 1; i <= 20; i++)
        {
            pauses.Add(_store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = $"s{i}" }).Run().PauseDuration!.Value.TotalMilliseconds);
            if (i % 5 == 0) await LiveStore.WaitForWorkAsync(shell);
        }
        output.WriteLine($"20 snapshots: pause {pauses.Min():0.0} to {pauses.Max():0.0} ms, median {pauses.Order().ElementAt(10):0.0} ms");
        Assert.Equal(42, _store.CountLayers());
        long before = await LiveStore.RecordAsync(shell);

        // From the middle, the old end and the new end, so that merges go up and down, under the head and far from it.
        int[] order = [10, 9, 11, 1, 2, 20, 19, 5, 3, 4, 6, 7, 8, 12, 13, 14, 15, 16, 18, 17];
        var clock = Stopwatch.StartNew();
        var (warnings, lines) = (new List<string>(), new List<string>());
        foreach (int i in order)
        {
            _store.Engine.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web01", Snapshot = $"s{i}" }).Run(new RunOptions { Warn = warnings.Add, Log = lines.Add });
            if (i == 5)
            {
                // What is left reads as it did: of one instant, and older than the present.
                long first = _store.LastRecordOf("web01-0", "s12", "first"), second = _store.LastRecordOf("web01-1", "s12", "second");
                Assert.True(second >= 1 && second <= first && first <= second + 1, $"{first} and {second}");
            }
        }
        output.WriteLine($"20 removed in {clock.Elapsed.TotalSeconds:0.0} s");
        Assert.Empty(warnings);
        Assert.Contains(lines, l => l.Contains("up under the running guest", StringComparison.Ordinal));
        Assert.Contains(lines, l => l.Contains("down under the running guest", StringComparison.Ordinal));
        Assert.Equal(2, _store.CountLayers());
        Assert.Empty(_store.Engine.Snapshots.Find(new SnapshotQuery()));
        await LiveStore.WaitForWorkAsync(shell);
        long after = await LiveStore.RecordAsync(shell);
        Assert.True(after > before);
        _store.TurnOff("web01");
        Assert.DoesNotContain(_store.Engine.Test(), f => f.Severity == FindingSeverity.Error);
        Assert.True(_store.LastRecordOf("web01-0", null, "first") >= after);
        Assert.True(_store.LastRecordOf("web01-1", null, "second") >= after);
    }

    [GuestFact("e2fsck", "debugfs")]
    public async Task A_merge_that_is_cancelled_or_whose_session_dies_loses_nothing_and_is_ended_by_the_next()
    {
        _store.AddVm("web01", disks: 1);
        using var shell = await _store.StartAndWorkAsync("web01");
        await shell.RunAsync("dd if=/dev/urandom of=/mnt/a/ballast bs=1M count=24 2>/dev/null; sync");
        _store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "s1" }).Run();
        await LiveStore.WaitForWorkAsync(shell);

        // Throttled to 1 MiB a second, and cancelled as soon as it moves.
        using var cancel = new CancellationTokenSource();
        bool moved = false;
        var removing = _store.Engine.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web01", Snapshot = "s1" });
        Assert.ThrowsAny<OperationCanceledException>(() => removing.Run(new RunOptions
        {
            BytesPerSecond = 1 << 20,
            Cancellation = cancel.Token,
            Progress = new Watcher(p =>
            {
                moved |= p.BytesDone > 0;
                if (moved) cancel.Cancel();
            }),
        }));
        Assert.True(moved);
        Assert.Equal(2, _store.CountLayers());
        await LiveStore.WaitForWorkAsync(shell);

        // A session that dies: its job goes on in QEMU, and its operation stays open. The next opening settles both.
        var machine = new Launch.QemuLauncher(SnapshotTools.IO.SystemFiles.Instance, runRoot: _store.RunRoot);
        await using (var orphan = (await machine.FindAsync(_store.Engine.Machines.Get("web01").Id))!)
        {
            var graph = await Blocks.BlockGraph.QueryAsync(orphan);
            await orphan.Monitor.ExecuteAsync("block-stream", new()
            {
                ["job-id"] = "snapshottools-orphan",
                ["device"] = graph.Devices[0].TopNode,
                ["speed"] = 1 << 20,
                ["auto-dismiss"] = false,
            });
        }
        _store.Reopen();
        _store.Engine.Optimize().Run();
        Assert.Equal(1, _store.CountLayers());
        await LiveStore.WaitForWorkAsync(shell);
        long record = await LiveStore.RecordAsync(shell);

        // The disk grows under the guest once it has no snapshots any more.
        _store.Engine.Volumes.Resize("web01-0", 96 << 20, allowShrink: false).Run();
        Assert.Equal("196608", (await shell.RunAsync("cat /sys/block/vda/size")).Trim());
        Assert.Equal(ErrorIds.VolumeInUse, Assert.Throws<SnapshotException>(() => _store.Engine.Volumes.Resize("web01-0", 64 << 20, allowShrink: true)).ErrorId);
        _store.TurnOff("web01");
        Assert.DoesNotContain(_store.Engine.Test(), f => f.Severity == FindingSeverity.Error);
        Assert.True(_store.LastRecordOf("web01-0", null, "first") >= record);
    }

    private sealed class Watcher(Action<OperationProgress> report) : IProgress<OperationProgress>
    {
        public void Report(OperationProgress value) => report(value);
    }
}
