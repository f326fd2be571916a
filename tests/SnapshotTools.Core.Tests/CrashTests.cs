using System.Globalization;
using SnapshotTools.Core.Tests.Reliability;
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

    private readonly StoreScenario _scenario = new();
    private readonly HashSet<FileCall> _passed = [];

    public static TheoryData<string> Operations => [.. StoreScenario.Acts.Keys];

    [Theory]
    [MemberData(nameof(Operations))]
    public void Every_end_of_the_process_leaves_before_or_after(string operation)
    {
        var act = StoreScenario.Acts[operation];
        string before = StoreScenario.StateOf(_scenario.Prepared);
        string done = _scenario.Copy();
        using (var engine = EmbeddedStore.Open(done)) act(engine, _scenario);
        string after = StoreScenario.StateOf(done);
        Assert.True(before != after, "the operation does nothing");

        int states = 0, asBefore = 0;
        foreach (var (kind, call) in Changes.SelectMany(k => Enumerable.Range(1, int.MaxValue - 1).Select(n => (k, n)).TakeWhile(_ => !_passed.Contains(k))))
        {
            string store = _scenario.Copy();
            var files = new FaultyFileSystem(SystemFiles.Instance);
            var killed = EmbeddedStore.Open(files, store);
            files.Fail(kind, call, FaultKind.Kill, always: true);
            var error = Record.Exception(() => act(killed, _scenario));
            bool isKilled = files.Fired;
            if (!isKilled)
            {
                Assert.Null(error);
                _passed.Add(kind);
            }
            Record.Exception(killed.Dispose);   // nothing that it would do comes to pass any more
            if (!isKilled)
            {
                Directory.Delete(store, recursive: true);
                continue;
            }
            states++;
            string found = StoreScenario.StateOf(store);
            Assert.True(found == before || found == after, $"killed at {kind} {call} of '{operation}', the store reads as neither:\n{found}\nbefore:\n{before}\nafter:\n{after}");
            if (found == before) asBefore++;
            using (var engine = EmbeddedStore.Open(store))
            {
                // What will be cleared up by itself is no damage, and there is nothing to repair.
                Assert.DoesNotContain(engine.Test(), f => f.Severity != FindingSeverity.Information);
                StoreScenario.EndCopies(engine);
                engine.Optimize().Run();
                StoreScenario.AssertClean(engine, $"killed at {kind} {call} of '{operation}'");
                if (found == before) act(engine, _scenario);   // what was not done can be done
            }
            Assert.Equal(after, StoreScenario.StateOf(store));
            Directory.Delete(store, recursive: true);
        }
        Effort.Count("crash states", states);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{operation}: {states} crash states, {asBefore} as before, {states - asBefore} as after"));
    }

    [Fact]
    public void A_link_that_a_kill_left_goes_even_when_the_next_operation_let_the_stable_path_follow()
    {
        string store = _scenario.Copy(), volumes = Path.Combine(store, "volumes");
        using (var engine = EmbeddedStore.Open(store))
        {
            // Killed between the new link and its renaming; this session, open before, goes on with the volume, and the catalog knows nothing of it any more.
            foreach (string link in Directory.GetFiles(volumes)) File.CreateSymbolicLink(TemporaryLink.NameFor(link), "nowhere");
            engine.Snapshots.Create(new NewSnapshotRequest { Vm = engine.Machines.Find()[0].Name, Name = "later" }).Run();
        }
        using var next = EmbeddedStore.Open(store);
        Assert.Contains(Directory.GetFiles(volumes), TemporaryLink.IsOne);
        next.Optimize().Run();
        Assert.DoesNotContain(Directory.GetFiles(volumes), TemporaryLink.IsOne);
        StoreScenario.AssertClean(next);
    }

    public void Dispose() => _scenario.Dispose();
}
