using SnapshotTools.Core.Engine;
using SnapshotTools.Embedded;
using SnapshotTools.IO;
using SnapshotTools.Testing;
using SnapshotTools.Testing.Files;

namespace SnapshotTools.Core.Tests.Reliability;

/// <summary>A store is tested while operations go on: what they are just doing is no damage.</summary>
public sealed class TestWhileWorkingTests : IDisposable
{
    private readonly StoreScenario _scenario = new();

    public static TheoryData<string> Operations => [.. StoreScenario.Acts.Keys.Where(a => !a.StartsWith("restore that fails", StringComparison.Ordinal))];

    [Theory]
    [MemberData(nameof(Operations))]
    public void An_operation_that_is_at_work_is_not_taken_for_damage(string operation)
    {
        string store = _scenario.Copy();
        var files = new FaultyFileSystem(SystemFiles.Instance);
        using var engine = EmbeddedStore.Open(files, store);
        using var other = EmbeddedStore.Open(store);
        int tests = 0;
        bool isTesting = false;
        files.Before = (call, path) =>
        {
            bool isChange = call is FileCall.Create or FileCall.Rename or FileCall.Delete or FileCall.ReplaceLink or FileCall.SetFrozen or FileCall.SyncDirectory or FileCall.Flush;
            if (!isChange || isTesting) return;
            isTesting = true;
            var findings = other.Test();
            Assert.True(findings.All(f => f.Severity == FindingSeverity.Information), $"at {call} {path}: {string.Join("; ", findings)}");
            isTesting = false;
            tests++;
        };
        StoreScenario.Acts[operation](engine, _scenario);
        files.Before = null;
        Assert.True(tests > 0 || operation is "rename" or "changed VM" or "attach" or "new VM", "it was never tested");
    }

    [Theory]
    [MemberData(nameof(Operations))]
    public void An_operation_that_comes_in_the_middle_of_a_test_is_not_taken_for_damage(string operation)
    {
        int calls = Count();
        int positions = Math.Min(calls, 12 * Effort.Factor);
        foreach (int at in Enumerable.Range(0, positions).Select(i => 1 + (calls * i / positions)))
        {
            string store = _scenario.Copy();
            var files = new FaultyFileSystem(SystemFiles.Instance);
            using (var engine = EmbeddedStore.Open(files, store))
            {
                int from = files.AllCalls, begun = 0;
                files.Before = (_, _) =>
                {
                    if (files.AllCalls - from < at || begun++ > 0) return;
                    using var other = EmbeddedStore.Open(store);
                    StoreScenario.Acts[operation](other, _scenario);
                };
                var findings = engine.Test();
                Assert.True(findings.All(f => f.Severity == FindingSeverity.Information), $"at call {at}: {string.Join("; ", findings)}");
                Assert.True(begun > 0);
                files.Before = null;
            }
            Directory.Delete(store, recursive: true);
        }

        int Count()
        {
            var files = new FaultyFileSystem(SystemFiles.Instance);
            using var engine = EmbeddedStore.Open(files, _scenario.Copy());
            int from = files.AllCalls;
            engine.Test();
            return files.AllCalls - from;
        }
    }

    [Fact]
    public void What_cannot_be_judged_while_an_operation_is_at_it_is_said()
    {
        string store = _scenario.Copy();
        using var engine = EmbeddedStore.Open(store);
        File.Delete(engine.Volumes.Get("spare").HeadPath);
        long id = engine.Context.Catalog.Volumes.FindByName("spare")!.Id;
        using (engine.Context.Locks.TryAcquire(LockKey.Volume(id)))
        {
            var busy = Assert.Single(engine.Test());
            Assert.Equal((FindingCodes.VolumeBusy, "spare"), (busy.Code, busy.Subject));
        }
        Assert.Equal(FindingCodes.LayerMissing, Assert.Single(engine.Test()).Code);
    }

    public void Dispose() => _scenario.Dispose();
}
