using SnapshotTools.Core.Engine;
using SnapshotTools.Embedded;

namespace SnapshotTools.Core.Tests;

/// <summary>When waiting for an operation ends, and what stopping one leaves.</summary>
public class OperationWaitTests
{
    [Fact]
    public async Task Waiting_for_a_copy_ends_when_its_volumes_are_free_again()
    {
        using var store = new TestStore();
        store.NewVolume("data");
        var operations = store.Engine.Operations;
        var copy = Assert.Single(store.Engine.Volumes.Clone(new CloneRequest { Sources = [new CloneSource("data")] }).Run().Copies);
        operations.Run([copy.Id]);
        var context = store.Engine.Context;
        // As a worker does that has said that the copy is complete, and still lets the source's layer go.
        var worker = context.Locks.TryAcquire(LockKey.Operation(context.Catalog.Operations.FindById(copy.Id)!.Id));
        Assert.NotNull(worker);

        Assert.Equal(OperationState.Completed, operations.Wait(copy.Id, TimeSpan.Zero).State);
        using var other = EmbeddedStore.Open(store.Directory);
        var waiting = Task.Run(() => other.Operations.Wait(copy.Id, TimeSpan.FromMinutes(2)));
        await Task.Delay(500);
        Assert.False(waiting.IsCompleted);
        worker.Dispose();
        Assert.Equal(OperationState.Completed, (await waiting).State);
    }

    [Fact]
    public void Copies_that_are_cancelled_together_have_all_ended_when_that_is_told()
    {
        using var store = new TestStore();
        store.NewVolume("data");
        store.Write("data", 0, 900_000, 1);
        var copies = store.Engine.Volumes.Clone(new CloneRequest { Sources = [new CloneSource("data", null, "c1"), new CloneSource("data", null, "c2")], Pace = new CopyPace(null, 2) }).Run().Copies;
        using var stop = new CancellationTokenSource();
        using var both = new Barrier(2);
        void Log(string line)
        {
            if (!line.Contains(": operation ", StringComparison.Ordinal)) return;
            Assert.True(both.SignalAndWait(TimeSpan.FromSeconds(60)));
            if (line.Contains("c1", StringComparison.Ordinal)) stop.Cancel();
            else Thread.Sleep(1000);
        }

        Assert.ThrowsAny<OperationCanceledException>(() => store.Engine.Operations.Run([.. copies.Select(c => c.Id)], new RunOptions { Cancellation = stop.Token, Log = Log }));

        Assert.All(copies, c => Assert.Equal(OperationState.Paused, store.Engine.Operations.Get(c.Id).State));
    }

    [Fact]
    public void A_worker_that_is_to_end_leaves_its_copy_to_the_next_one_in_one_step()
    {
        using var store = new TestStore();
        store.NewVolume("data");
        var operations = store.Engine.Operations;
        var copy = Assert.Single(store.Engine.Volumes.Clone(new CloneRequest { Sources = [new CloneSource("data")] }).Run().Copies);
        var database = store.Engine.Context.Database;
        database.ExecuteAll("CREATE TABLE seen(state); CREATE TRIGGER seen AFTER UPDATE OF state ON operation BEGIN INSERT INTO seen VALUES(new.state); END;");
        using var end = new CancellationTokenSource();

        Assert.True(operations.Work(TimeSpan.Zero, new RunOptions { Cancellation = end.Token, Log = _ => end.Cancel() }));

        // Paused in between, somebody else could have stopped it, and what it was set to afterwards would have waited for ever.
        Assert.Equal($"{(int)OperationState.Running} {(int)OperationState.Pending}", database.Text("SELECT group_concat(state, ' ') FROM seen"));
        Assert.Equal(OperationState.Pending, operations.Get(copy.Id).State);
        Assert.True(operations.Work(TimeSpan.Zero));
        Assert.Equal(OperationState.Completed, operations.Get(copy.Id).State);
    }

    [Fact]
    public void Stopping_an_operation_whose_process_has_died_says_so_and_takes_it_back()
    {
        using var store = new TestStore();
        var context = store.Engine.Context;
        var dead = context.Database.Write(() => context.Catalog.Operations.Begin(OperationKind.Snapshot, "web01/s"));

        Assert.Equal(OperationState.Interrupted, store.Engine.Operations.Stop(dead.Uid, false).Run().State);
    }
}
