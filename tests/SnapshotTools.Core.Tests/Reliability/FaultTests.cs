using System.Diagnostics;
using System.Globalization;
using SnapshotTools.Embedded;
using SnapshotTools.IO;
using SnapshotTools.Testing;
using SnapshotTools.Testing.Files;
using Xunit.Abstractions;

namespace SnapshotTools.Core.Tests.Reliability;

/// <summary>
/// The disk fails at each call of each operation in turn, once or from then on: the operation fails with its own error and the
/// state is the one before, or, where it had been committed, the one after; when the cause is gone it can be done.
/// </summary>
[Trait("Category", "Torture")]
public sealed class FaultTests(ITestOutputHelper output) : IDisposable
{
    private const int FaultsPerOperation = 30;
    private static readonly FaultKind[] Kinds = [FaultKind.InputOutput, FaultKind.NoSpace, FaultKind.ReadOnly, FaultKind.TooManyFiles];

    // When the sync of a new size fails nobody knows which size is on the disk; the catalog follows what the image says. A clone is there
    // before its data is copied, and stays when that fails.
    private static readonly Action<SnapshotEngine, StoreScenario>[] DoneInParts =
        [.. new[] { "resize", "clone", "clone of the present", "replica", "template", "remove, flattening" }.Select(a => StoreScenario.Acts[a])];

    private readonly StoreScenario _scenario = new();

    public static TheoryData<string> Operations => [.. StoreScenario.Acts.Keys];

    [Theory]
    [MemberData(nameof(Operations))]
    public void Every_fault_leaves_before_and_the_operation_can_be_done_afterwards(string operation)
    {
        var clock = Stopwatch.StartNew();
        var act = StoreScenario.Acts[operation];
        string before = StoreScenario.StateOf(_scenario.Prepared), done = _scenario.Copy();
        int calls = CountCalls(done, act);
        string after = StoreScenario.StateOf(done);
        var random = new Random(Effort.Seed);
        int[] chosen = [.. Enumerable.Range(1, calls)];
        random.Shuffle(chosen);
        int tried = 0, failed = 0;
        string store = _scenario.Copy();
        foreach (int call in chosen.Take(FaultsPerOperation * Effort.Factor))
        {
            var kind = Kinds[random.Next(Kinds.Length)];
            bool always = random.Next(2) == 0;
            string what = $"{kind} at call {call} of {calls} of '{operation}'{(always ? " and from then on" : "")} (seed {Effort.Seed})";
            tried++;
            if (!Try(store, act, call, kind, always, before, after, what))
            {
                store = _scenario.Copy();   // it was done in spite of the fault
                continue;
            }
            failed++;
        }
        using (var engine = EmbeddedStore.Open(store)) act(engine, _scenario);
        Assert.Equal(after, StoreScenario.StateOf(store));
        Effort.Count("faults", tried);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{operation}: {tried} faults in {calls} calls, {failed} failed it, {clock.Elapsed.TotalSeconds:0.0} s"));
    }

    public void Dispose() => _scenario.Dispose();

    private int CountCalls(string store, Action<SnapshotEngine, StoreScenario> act)
    {
        var files = new FaultyFileSystem(SystemFiles.Instance);
        using var engine = EmbeddedStore.Open(files, store);
        int earlier = files.AllCalls;
        act(engine, _scenario);
        return files.AllCalls - earlier;
    }

    /// <summary>True when the operation was not done.</summary>
    private bool Try(string store, Action<SnapshotEngine, StoreScenario> act, int call, FaultKind kind, bool always, string before, string after, string what)
    {
        var files = new FaultyFileSystem(SystemFiles.Instance);
        string? id;
        using (var engine = EmbeddedStore.Open(files, store))
        {
            files.FailAny(call, kind, always);
            var error = Record.Exception(() => act(engine, _scenario));
            files.Heal();
            Assert.True(error is null or SnapshotException, $"{what} gave {error}");
            id = (error as SnapshotException)?.ErrorId;
            if (id == ErrorIds.RestoreFailed) engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", FailAction = FailAction.Rollback }).Run();
            if (!always && id is not null and not ErrorIds.CollectFailed && !DoneInParts.Contains(act)) Equal(before, StoreScenario.StateOf(engine), $"{what} ({id})");
        }
        bool isDone = id is null or ErrorIds.CollectFailed;
        using (var engine = EmbeddedStore.Open(store))
        {
            if (DoneInParts.Contains(act)) isDone = StoreScenario.StateOf(engine) == after;
            Equal(isDone ? after : before, StoreScenario.StateOf(engine), $"{what} ({id})");
            StoreScenario.EndCopies(engine);
            engine.Optimize().Run();
            StoreScenario.AssertClean(engine);
        }
        return !isDone;
    }

    private static void Equal(string expected, string found, string what) =>
        Assert.True(expected == found, $"{what} left:\n{found}\nexpected:\n{expected}");
}
