using SnapshotTools.Core;
using SnapshotTools.Guest;
using Xunit;
using Xunit.Abstractions;

namespace SnapshotTools.Qemu.Tests.Live;

/// <summary>Clones of guests at work, and guests at work on clones.</summary>
[Collection(LiveTests.Name)]
public sealed class CloneLiveTests(ITestOutputHelper output) : IDisposable
{
    private readonly LiveStore _store = new();

    public void Dispose() => _store.Dispose();

    [GuestFact("e2fsck", "debugfs")]
    public async Task A_clone_is_used_by_a_guest_while_it_is_filled_and_its_source_is_restored_afterwards()
    {
        _store.AddVm("web01");
        using (var shell = await _store.StartAndWorkAsync("web01"))
        {
            await shell.RunAsync("dd if=/dev/urandom of=/mnt/a/ballast bs=1M count=24 2>/dev/null; md5sum </mnt/a/ballast >/mnt/b/sum; sync");
            await LiveStore.WaitForWorkAsync(shell);
            _store.TurnOff("web01");
        }
        _store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "then" }).Run();
        var made = _store.Engine.Machines.Clone(new VmCloneRequest { Source = "web01", Name = "web02", Pace = new CopyPace(MaxBytesPerSecond: 4 << 20) }).Run();
        _store.MovePorts("web02");
        var ids = made.Clones.Copies.Select(c => c.Id).ToList();

        // The copy begins while the clone stands still, and rests; the guest is started on what there is, and the copy goes on under it.
        using var session = _store.Open();
        var log = new List<string>();
        var options = new RunOptions { Log = line => { lock (log) log.Add(line); } };
        var copying = Task.Run(() => session.Operations.Run(ids, options));
        await LiveGuest.WaitUntilAsync(() => _store.Engine.Operations.Get(ids[0]).BytesDone > 4 << 20, "the copy is on its way");
        foreach (var id in ids.AsEnumerable().Reverse()) _store.Engine.Operations.Suspend(id).Run();
        await copying.WaitAsync(TimeSpan.FromMinutes(1));
        using var clone = await _store.StartAndWorkAsync("web02");
        foreach (var id in ids) Assert.Equal(OperationState.Pending, _store.Engine.Operations.Resume(id).Run().State);
        output.WriteLine($"the clone's guest works when {_store.Engine.Operations.Get(ids[0]).BytesDone >> 20} of {_store.Engine.Operations.Get(ids[0]).BytesTotal >> 20} MiB of its first disk are copied");
        copying = Task.Run(() => session.Operations.Run(ids, options));
        await LiveStore.WaitForWorkAsync(clone);
        Assert.Contains(_store.OpenFilesOf("web02"), f => f.EndsWith(_store.LayerFilesOf("web01-0")[^1], StringComparison.Ordinal));
        var ended = await copying.WaitAsync(TimeSpan.FromMinutes(3));

        Assert.All(ended, o => Assert.Equal(OperationState.Completed, o.State));
        Assert.Equal(2, log.Count(l => l.Contains("reads the copy and has let go", StringComparison.Ordinal)));
        // No old file is open, neither deleted ones nor the source's: exactly the clone's layers are.
        Assert.Equal(_store.LayerFilesOf("web02-0").Concat(_store.LayerFilesOf("web02-1")).Order(), _store.OpenFilesOf("web02").Select(f => Path.GetFileName(f)!).Order());
        await LiveStore.WaitForWorkAsync(clone);

        // The source goes back, and is written to, under the clone's guest.
        _store.Engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "then" }).Run();
        _store.Engine.Machines.Remove("web01", removeVolumes: true, removeSnapshots: true).Run();
        await clone.RunAsync("echo 3 >/proc/sys/vm/drop_caches; [ \"$(md5sum </mnt/a/ballast)\" = \"$(cat /mnt/b/sum)\" ]");
        // Snapshots, merges and restores go on as with every running VM.
        _store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web02", Name = "a" }).Run();
        _store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web02", Name = "b" }).Run();
        var warnings = new List<string>();
        foreach (string name in new[] { "a", "b" }) _store.Engine.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web02", Snapshot = name }).Run(new RunOptions { Warn = warnings.Add });
        Assert.Empty(warnings);
        await LiveStore.WaitForWorkAsync(clone);
        long record = await LiveStore.RecordAsync(clone);
        _store.TurnOff("web02");
        Assert.Empty(_store.Engine.Test());
        Assert.True(_store.LastRecordOf("web02-0", null, "first") >= record);
        Assert.True(_store.LastRecordOf("web02-1", null, "second") >= record);
    }
}
