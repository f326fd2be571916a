using SnapshotTools.IO;
using SnapshotTools.Qcow2.Tests.Hostile;
using SnapshotTools.Testing;
using SnapshotTools.Testing.Files;
using Xunit;

namespace SnapshotTools.Qcow2.Tests.Checking;

/// <summary>A repair that is killed, or meets a power cut or a fault, anywhere: the image is never worse than before, and the
/// next repair ends as an uninterrupted one.</summary>
public class RepairCrashTests
{
    private const string Image = "/a.qcow2";

    public static TheoryData<string> Names => ["used cluster counted 0 times", "used cluster counted twice", "leak by a lost L1 entry", "all counts 0",
        "copied flag on a shared cluster", "refcount block missing", "refcount block past the end", "refcount table past the end", "two entries for one cluster", "dirty bit"];

    private static MemoryFileSystem Damaged(string name)
    {
        Damage damage = Damage.All.Single(d => d.Name == name);
        ImageBytes image = SampleImages.Get(damage.Sample);
        damage.Do(image);
        return image.ToMemory();
    }

    [ToolTheory("qemu-img", "qemu-io")]
    [MemberData(nameof(Names))]
    public void Interrupted_anywhere_it_is_never_worse_and_can_be_ended(string name)
    {
        MemoryFileSystem before = Damaged(name);
        MemoryFileSystem work = before.Copy();
        var recording = new RecordingFileSystem(work);
        ImageRepair.Execute(recording, ImageRepair.Plan(recording, Image, RepairScope.All));
        HashSet<string> dangers = ImageDangers.Of(before);
        var model = new CrashModel(before, recording.Effects);
        int states = 0;
        foreach (CrashState state in model.Kills().Concat(model.PowerCuts(perMoment: 24)))
        {
            states++;
            string[] worse = [.. ImageDangers.Of(state.Files).Except(dangers)];
            Assert.True(worse.Length == 0, $"{state.Description}: {string.Join(", ", worse)}");
            CheckResult ended = ImageRepair.Execute(state.Files, ImageRepair.Plan(state.Files, Image, RepairScope.All));
            Assert.True(ended.IsClean, $"{state.Description}: {string.Join('\n', ended.Findings)}");
        }
        Assert.True(states > 1);
    }

    [ToolTheory("qemu-img", "qemu-io")]
    [MemberData(nameof(Names))]
    public void A_fault_at_any_call_leaves_it_no_worse_and_a_retry_succeeds(string name)
    {
        MemoryFileSystem before = Damaged(name);
        HashSet<string> dangers = ImageDangers.Of(before);
        RepairPlan plan = ImageRepair.Plan(before, Image, RepairScope.All);
        foreach (FaultKind kind in new[] { FaultKind.InputOutput, FaultKind.NoSpace })
        {
            foreach (FileCall call in new[] { FileCall.Write, FileCall.SetLength, FileCall.Flush })
            {
                for (int nth = 1; ; nth++)
                {
                    MemoryFileSystem work = before.Copy();
                    var faulty = new FaultyFileSystem(work);
                    faulty.Fail(call, nth, kind);
                    Exception? error = Record.Exception(() => ImageRepair.Execute(faulty, plan));
                    if (!faulty.Fired) break;
                    Assert.True(error is IOException, $"{kind} at {call} {nth}: {error}");
                    string[] worse = [.. ImageDangers.Of(work).Except(dangers)];
                    Assert.True(worse.Length == 0, $"{kind} at {call} {nth}: {string.Join(", ", worse)}");
                    CheckResult ended = ImageRepair.Execute(work, ImageRepair.Plan(work, Image, RepairScope.All));
                    Assert.True(ended.IsClean, $"{kind} at {call} {nth}: {string.Join('\n', ended.Findings)}");
                }
            }
        }
    }
}
