using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine;
using SnapshotTools.Embedded;

namespace SnapshotTools.Core.Tests;

/// <summary>A process is killed, and the kernel takes its time to let go of its locks one after the other.</summary>
public class DyingProcessTests
{
    [Fact]
    public async Task What_it_left_on_a_volume_is_taken_back_before_the_volume_is_used()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os");
        store.Snapshot("web01", "a");
        store.Write("os", 0, 1000, 1);
        using var dying = EmbeddedStore.Open(store.Directory);
        var context = dying.Context;
        var volume = context.Catalog.Volumes.FindByName("os")!;
        var heads = new NewHeads(context);
        heads.Add(volume, context.Catalog.Layers.Get(volume.HeadId), null);
        IDisposable? lastLock = null;
        context.Database.Write(() =>
        {
            var operation = context.Catalog.Operations.Begin(OperationKind.Snapshot, "web01/b");
            lastLock = context.Locks.TryAcquire(LockKey.Operation(operation.Id));
            heads.Register(operation.Id);
        });
        heads.Create();   // its new head lies on the one that the restore drops; the lock of the volume is free already

        var restore = Task.Run(() => store.Restore("web01", "a"));
        await Task.Delay(300);
        lastLock!.Dispose();
        await restore;

        Assert.Contains(store.Engine.Operations.Find(), o => o is { Kind: OperationKind.Snapshot, Target: "web01/b", State: OperationState.Interrupted });
        store.AssertClean(layers: 2);
    }
}
