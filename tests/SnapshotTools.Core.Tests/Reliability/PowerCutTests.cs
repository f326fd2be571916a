using System.Diagnostics;
using System.Globalization;
using SnapshotTools.Embedded;
using SnapshotTools.IO;
using SnapshotTools.Testing;
using SnapshotTools.Testing.Files;
using Xunit.Abstractions;

namespace SnapshotTools.Core.Tests.Reliability;

/// <summary>
/// Every effect of each operation on files is recorded, the catalog's journal among them. From that the disks are built that a
/// killed process or a power cut may leave: each prefix of the effects, and of the effects that no sync separates any choice and order.
/// Opened, each reads as before the operation or as after it, nothing is left over, and the operation can be done.
/// </summary>
[Trait("Category", "Torture")]
public sealed class PowerCutTests(ITestOutputHelper output) : IDisposable
{
    private const int StatesPerOperation = 50;
    private const string Journal = "catalog.sqlite-wal";

    private readonly StoreScenario _scenario = new();

    public static TheoryData<string> Operations => [.. StoreScenario.Acts.Keys];

    [Theory]
    [MemberData(nameof(Operations))]
    public void Every_power_cut_leaves_before_or_after(string operation)
    {
        var clock = Stopwatch.StartNew();
        var act = StoreScenario.Acts[operation];
        string before = StoreScenario.StateOf(_scenario.Prepared);
        var model = Record(act);
        string after = StoreScenario.StateOf(_scenario.Prepared);
        Assert.NotEqual(before, after);

        var all = model.Kills().Concat(model.PowerCuts(12 * Effort.Factor, Effort.Seed)).DistinctBy(s => s.Files.Fingerprint()).ToList();
        var chosen = Some(all);
        int asBefore = 0;
        Parallel.ForEach(chosen, new ParallelOptions { MaxDegreeOfParallelism = 2 }, state =>
        {
            try
            {
                if (Check(state, before, after, act)) Interlocked.Increment(ref asBefore);
            }
            catch (Exception error)
            {
                throw new InvalidOperationException($"'{operation}', {state.Description}: {error.Message}", error);
            }
        });
        Effort.Count("crash states", chosen.Count);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{operation}: {chosen.Count} of {all.Count} crash states (seed {Effort.Seed}), {asBefore} as before, {chosen.Count - asBefore} as after, {clock.Elapsed.TotalSeconds:0.0} s"));
    }

    public void Dispose() => _scenario.Dispose();

    /// <summary>Does the operation on the prepared store and gives all that it did to files.</summary>
    private CrashModel Record(Action<SnapshotEngine, StoreScenario> act)
    {
        string journal = Path.Combine(_scenario.Prepared, Journal);
        RecordingFileSystem recorder = new(SystemFiles.Instance);
        var before = MemoryFileSystem.Load(_scenario.Root, _scenario.Root);
        using (var engine = EmbeddedStore.Open(recorder, _scenario.Prepared))
        {
            recorder.Note(journal, durable: true);   // what opening the store wrote
            engine.Context.Database.Committed += durable => recorder.Note(journal, durable);
            act(engine, _scenario);
            return new CrashModel(before, recorder.Effects);
        }
    }

    /// <summary>True when the state reads as before the operation.</summary>
    private bool Check(CrashState state, string before, string after, Action<SnapshotEngine, StoreScenario> act)
    {
        string store = _scenario.NewDirectory();
        try
        {
            state.Files.Save(_scenario.Prepared, store);
            StoreScenario.ForgetBoot(store);
            bool isBefore;
            using (var engine = EmbeddedStore.Open(store))
            {
                string found = StoreScenario.StateOf(engine);
                Assert.True(found == before || found == after, $"the store reads as neither:\n{found}\nbefore:\n{before}\nafter:\n{after}");
                isBefore = found == before;
                StoreScenario.EndCopies(engine);
                engine.Optimize().Run();
                StoreScenario.AssertClean(engine);
                if (isBefore) act(engine, _scenario);   // what was not done can be done
                Assert.Equal(after, StoreScenario.StateOf(engine));
            }
            if (state.Description.Length % 5 == 0)
            {
                // Whatever was done, the catalog can be lost afterwards.
                File.Delete(Path.Combine(store, "catalog.sqlite"));
                EmbeddedStore.Repair(store).Run();
                Assert.Equal(after, StoreScenario.StateOf(store));
            }
            return isBefore;
        }
        finally
        {
            if (Directory.Exists(store)) Directory.Delete(store, recursive: true);
        }
    }

    private static List<CrashState> Some(List<CrashState> all)
    {
        int wanted = StatesPerOperation * Effort.Factor;
        if (all.Count <= wanted) return all;
        var chosen = all.ToArray();
        new Random(Effort.Seed).Shuffle(chosen);
        return [.. chosen[..wanted]];
    }
}
