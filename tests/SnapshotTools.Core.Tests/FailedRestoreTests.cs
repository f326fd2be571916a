using SnapshotTools.Embedded;
using SnapshotTools.IO;
using SnapshotTools.Testing.Files;

namespace SnapshotTools.Core.Tests;

/// <summary>A restore that fails half-way, and each way to end it.</summary>
public class FailedRestoreTests
{
    [Fact]
    public void Without_a_fail_action_the_VM_is_in_error_and_keeps_its_present()
    {
        using var store = new TestStore();
        string present = Prepare(store, FailAction.None, ErrorIds.RestoreFailed);
        var vm = store.Engine.Machines.Get("web01");
        Assert.Equal(VmState.Error, vm.State);
        Assert.NotNull(vm.Error);
        Assert.True(Assert.Single(store.Engine.Snapshots.Find(new SnapshotQuery { Names = ["backup-*"] })).IsBackup);
        Assert.Equal(present, store.Hash("os"));
        var error = Assert.Throws<SnapshotException>(() => store.Snapshot("web01", "b"));
        Assert.Equal(ErrorIds.VmInError, error.ErrorId);
        Assert.Equal(ErrorIds.VmInError, Assert.Throws<SnapshotException>(() => store.Restore("web01", "a")).ErrorId);
        store.AssertClean(layers: 4);
    }

    [Fact]
    public void A_later_rollback_returns_to_the_present_and_leaves_nothing()
    {
        using var store = new TestStore();
        string present = Prepare(store, FailAction.None, ErrorIds.RestoreFailed);
        store.Reopen();
        store.Engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", FailAction = FailAction.Rollback }).Run();
        Assert.Equal(VmState.Stopped, store.Engine.Machines.Get("web01").State);
        Assert.Equal(present, store.Hash("os"));
        Assert.Equal(["a"], store.Engine.Snapshots.Find(new SnapshotQuery()).Select(s => s.Name));
        store.Write("os", 0, 10, 9);
        store.AssertClean(layers: 4);
    }

    [Fact]
    public void A_later_retry_ends_the_restore()
    {
        using var store = new TestStore();
        Prepare(store, FailAction.None, ErrorIds.RestoreFailed);
        string wanted = TestStore.HashFile(store.Engine.Snapshots.Get("web01", "a").Volumes[0].Path);
        store.Engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", FailAction = FailAction.Retry }).Run();
        Assert.Equal(VmState.Stopped, store.Engine.Machines.Get("web01").State);
        Assert.Equal(wanted, store.Hash("os"));
        Assert.Equal(["a"], store.Engine.Snapshots.Find(new SnapshotQuery()).Select(s => s.Name));
        store.AssertClean(layers: 4);
    }

    [Fact]
    public void Rollback_at_once_leaves_the_VM_as_it_was()
    {
        using var store = new TestStore();
        string present = Prepare(store, FailAction.Rollback, ErrorIds.RestoreRolledBack);
        Assert.Equal(VmState.Stopped, store.Engine.Machines.Get("web01").State);
        Assert.Equal(present, store.Hash("os"));
        store.AssertClean(layers: 4);
    }

    [Fact]
    public void A_fault_that_passes_is_got_over_by_retry()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os", "db");
        store.Snapshot("web01", "a");
        store.Write("os", 0, 10, 1);
        var faulty = new FaultyFileSystem(SystemFiles.Instance);
        using var engine = EmbeddedStore.Open(faulty, store.Directory);
        var restore = engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "a", FailAction = FailAction.Retry });
        faulty.Fail(FileCall.Flush, 1, FaultKind.InputOutput);
        restore.Run();
        Assert.True(faulty.Fired);
        Assert.Equal(TestStore.HashFile(store.Engine.Snapshots.Get("web01", "a").Volumes[0].Path), store.Hash("os"));
        store.AssertClean(layers: 4);
    }

    [Fact]
    public void There_must_be_a_failed_restore_to_go_on_with()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os");
        var error = Assert.Throws<SnapshotException>(() => store.Engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", FailAction = FailAction.Rollback }));
        Assert.Equal(ErrorIds.NoFailedRestore, error.ErrorId);
    }

    /// <summary>A VM with a snapshot 'a', a present that differs, and a restore to it that failed for a full disk; gives the present's hash.</summary>
    private static string Prepare(TestStore store, FailAction action, string expected)
    {
        store.NewVm("web01", "os", "db");
        store.Snapshot("web01", "a");
        store.Write("os", 0, 100_000, 1);
        string present = store.Hash("os");
        var faulty = new FaultyFileSystem(SystemFiles.Instance);
        using var engine = EmbeddedStore.Open(faulty, store.Directory);
        var restore = engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "a", FailAction = action });
        faulty.Fail(FileCall.Write, 1, FaultKind.NoSpace, always: true);
        Assert.Equal(expected, Assert.Throws<SnapshotException>(() => restore.Run()).ErrorId);
        return present;
    }
}
