using System.Globalization;
using SnapshotTools.Embedded;
using SnapshotTools.Testing;
using Xunit.Abstractions;

namespace SnapshotTools.Core.Tests.Reliability;

/// <summary>The machine around the store is not as it should be: its clock jumps, its memory is short.</summary>
[Trait("Category", "Torture")]
public sealed class SurroundingsTests(ITestOutputHelper output) : IDisposable
{
    private static readonly string[] First = ["volume snapshot", "clone of the present", "resize"];
    private static readonly string[] Second = ["restore with backup", "rename", "template"];

    private static readonly int Step = Math.Max(1, 16 / Effort.Factor);

    private readonly StoreScenario _scenario = new();

    public void Dispose() => _scenario.Dispose();

    [ToolFact("faketime")]
    public void A_clock_that_jumps_changes_nothing_but_the_times_that_are_shown()
    {
        string usual = _scenario.Copy(), jumping = _scenario.Copy();
        Run(usual, "", First);
        Run(usual, "", Second);

        Run(jumping, "@2040-01-01 00:00:00 x5000", First);   // a day in the time of one operation
        Run(jumping, "@1999-12-31 23:59:59", Second);

        Assert.Equal(StoreScenario.StateOf(usual), StoreScenario.StateOf(jumping));
        using var engine = EmbeddedStore.Open(jumping);
        StoreScenario.AssertClean(engine);
        StoreScenario.Do(engine, ["snapshot", "remove volume"]);
        engine.Optimize().Run();
        StoreScenario.AssertClean(engine);
    }

    [Fact]
    public void A_process_without_memory_leaves_before_or_after()
    {
        int failed = 0, done = 0;
        foreach (string act in new[] { "snapshot", "remove, merging", "clone of the present", "restore" })
        {
            string before = StoreScenario.StateOf(_scenario.Prepared), after = "";
            using (var engine = EmbeddedStore.Open(_scenario.Copy()))
            {
                StoreScenario.Do(engine, [act]);
                after = StoreScenario.StateOf(engine);
            }
            bool isDone = false;
            for (int pieces = 0; !isDone; pieces += Step)
            {
                string store = _scenario.Copy();
                var (exitCode, said) = Tool.TryRun("env", ["DOTNET_GCHeapHardLimit=4000000", "DOTNET_gcConcurrent=0", .. Program("starve", store, act, pieces.ToString(CultureInfo.InvariantCulture))]);
                isDone = exitCode == 0;
                using var engine = EmbeddedStore.Open(store);
                StoreScenario.EndCopies(engine);
                string found = StoreScenario.StateOf(engine);
                Assert.True(found == after || (!isDone && found == before), $"{act} with {pieces} pieces of memory left:\n{found}\nsaid: {said}");
                engine.Optimize().Run();
                StoreScenario.AssertClean(engine);
                if (isDone) done++;
                else failed++;
            }
        }
        Effort.Count("faults", failed);
        output.WriteLine($"{failed} processes ended for want of memory, {done} had enough");
        Assert.True(failed >= 4, "memory was never short");
    }

    private static string[] Program(params string[] arguments) => ["dotnet", "exec", typeof(Worker).Assembly.Location, .. arguments];

    private static void Run(string store, string clock, string[] acts)
    {
        string[] program = Program(["do", store, .. acts]);
        if (clock.Length == 0) Tool.Run(program[0], program[1..]);
        else Tool.Run("env", ["NO_FAKE_STAT=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "faketime", "-f", clock, .. program]);
    }
}
