using SnapshotTools.Core.Engine.Snapshots;
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
    public void Nothing_is_made_of_the_backup_while_a_rollback_may_let_the_guest_write_to_it()
    {
        using var store = new TestStore();
        Prepare(store, FailAction.None, ErrorIds.RestoreFailed);
        var backup = Assert.Single(store.Engine.Snapshots.Find(new SnapshotQuery { Names = ["backup-*"] })).Volumes[0];
        foreach (bool linked in new[] { false, true })
            Assert.Equal(ErrorIds.VmInError, Assert.Throws<SnapshotException>(() => store.Engine.Volumes.Clone(new CloneRequest { Sources = [new CloneSource("os", backup.Id, "c1")], Linked = linked })).ErrorId);
        Assert.Equal(ErrorIds.VmInError, Assert.Throws<SnapshotException>(() => store.Engine.Volumes.Create(new NewVolumeRequest { Name = "c1", FromVolumeSnapshot = backup.Id })).ErrorId);

        // What is frozen can be cloned as ever.
        store.Engine.Volumes.Clone(new CloneRequest { Sources = [new CloneSource("os", store.Engine.Snapshots.Get("web01", "a").Volumes[0].Id, "c1")], Linked = true }).Run();
        store.Engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", FailAction = FailAction.Rollback }).Run();
        store.AssertClean(layers: 5);
    }

    [Fact]
    public void A_backup_whose_transaction_was_taken_back_is_made_again()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os");
        store.Snapshot("web01", "a");
        var context = store.Engine.Context;
        var backup = new RestoreBackup(context, context.Database.Read(() => RestoreChoice.Of(context, new RestoreRequest { Vm = "web01", Snapshot = "a" })));
        Assert.Throws<IOException>(() => context.Database.Write(() =>
        {
            backup.Insert();
            throw new IOException("The commit failed.");
        }));

        context.Database.Write(() => backup.SetError("it failed."));
        Assert.Throws<IOException>(() => context.Database.Write(() =>
        {
            backup.Delete(backup.Find()!);
            throw new IOException("The commit failed.");
        }));

        Assert.Single(store.Engine.Snapshots.Find(new SnapshotQuery { Names = ["backup-*"] }));
        context.Database.Write(backup.Return);
        Assert.Equal(["a"], store.Engine.Snapshots.Find(new SnapshotQuery()).Select(s => s.Name));
        store.AssertClean(layers: 2);
    }

    [Fact]
    public void A_rollback_without_a_backup_ends_the_state_in_which_nothing_was_changed()
    {
        using var store = new TestStore();
        string present = Prepare(store, FailAction.None, ErrorIds.RestoreFailed);
        var catalog = store.Engine.Context.Catalog;
        var backup = Assert.Single(store.Engine.Snapshots.Find(new SnapshotQuery { Names = ["backup-*"] }));
        catalog.Database.Write(() =>
        {
            var row = catalog.Snapshots.OfVm(store.Engine.Context.ResolveVm("web01").Id).Single(s => s.Uid == backup.Id);
            catalog.Snapshots.OfVmSnapshot(row.Id).ForEach(catalog.Snapshots.DeleteVolumeSnapshot);
            catalog.Snapshots.Delete(row);
        });

        store.Engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", FailAction = FailAction.Rollback }).Run();

        Assert.Equal(VmState.Stopped, store.Engine.Machines.Get("web01").State);
        Assert.Equal(present, store.Hash("os"));
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
