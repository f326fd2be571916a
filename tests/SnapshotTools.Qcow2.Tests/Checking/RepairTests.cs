using SnapshotTools.IO;
using SnapshotTools.Qcow2.Tests.Hostile;
using SnapshotTools.Qcow2.Tests.Matrix;
using SnapshotTools.Testing;
using SnapshotTools.Testing.Files;
using Xunit;

namespace SnapshotTools.Qcow2.Tests.Checking;

/// <summary>Each kind of damage is repaired as far as it can be without guessing, and never made worse.</summary>
public class RepairTests
{
    private const string Image = "/a.qcow2";

    public static TheoryData<string> Names => [.. Damage.All.Where(d => d.Refused is null).Select(d => d.Name)];

    private static MemoryFileSystem Damaged(string name)
    {
        Damage damage = Damage.All.Single(d => d.Name == name);
        ImageBytes image = SampleImages.Get(damage.Sample);
        damage.Do(image);
        return image.ToMemory();
    }

    private static string Text(CheckResult result) => string.Join('\n', result.Findings.Select(f => $"{f.Kind}: {f.Message}").Take(30));

    private static void AssertKept(string name, List<string?> before, List<string?> after)
    {
        if (Damage.All.Single(d => d.Name == name).ShowsTables) return;
        Assert.Null(GuestContent.FirstDifference(before, after));
    }

    private static string SaveTo(TempFolder folder, MemoryFileSystem files)
    {
        files.Save("/", folder.Path);
        return folder.File("a.qcow2");
    }

    [ToolTheory("qemu-img", "qemu-io")]
    [MemberData(nameof(Names))]
    public void All_is_repaired_that_can_be_and_nothing_lost(string name)
    {
        MemoryFileSystem files = Damaged(name);
        List<string?> before = GuestContent.Of(files);
        RepairPlan plan = ImageRepair.Plan(files, Image, RepairScope.All);
        CheckResult after = ImageRepair.Execute(files, plan);
        AssertKept(name, before, GuestContent.Of(files));
        Assert.True(plan.Remaining.Count > 0 || after.IsClean, $"{string.Join('\n', plan.Steps)}\n{Text(after)}");
        Assert.True(after.Errors <= plan.Before.Errors, Text(after));
        Assert.Empty(ImageRepair.Plan(files, Image, RepairScope.All).Steps);

        using var folder = new TempFolder();
        QemuCheck judge = QemuJudge.Check(SaveTo(folder, files));
        if (plan.Remaining.Count == 0) Assert.True(judge.ExitCode == 0, judge.Output);
    }

    [ToolTheory("qemu-img", "qemu-io")]
    [MemberData(nameof(Names))]
    public void What_qemu_repairs_and_we_do_not_the_plan_names_as_remaining(string name)
    {
        MemoryFileSystem files = Damaged(name);
        RepairPlan plan = ImageRepair.Plan(files, Image, RepairScope.All);
        ImageRepair.Execute(files, plan);
        using TempFolder ours = new(), theirs = new();
        QemuCheck judge = QemuJudge.Check(SaveTo(ours, files));
        string path = SaveTo(theirs, Damaged(name));
        QemuJudge.Check(path, "all");
        QemuCheck reference = QemuJudge.Check(path);
        if (judge.ExitCode <= reference.ExitCode && judge.Corruptions <= reference.Corruptions) return;
        // QEMU mends more: by making something read as zeroes, dropping it, or freeing what a damaged entry may have meant.
        Assert.NotEmpty(plan.Remaining);
    }

    [ToolTheory("qemu-img", "qemu-io")]
    [MemberData(nameof(Names))]
    public void Leaks_alone_are_given_back_without_touching_anything_else(string name)
    {
        MemoryFileSystem files = Damaged(name);
        List<string?> before = GuestContent.Of(files);
        RepairPlan plan = ImageRepair.Plan(files, Image, RepairScope.Leaks);
        Assert.DoesNotContain(plan.Steps, s => s.Kind is not (RepairStepKind.LowerCounts or RepairStepKind.SetFlags));
        CheckResult after = ImageRepair.Execute(files, plan);
        AssertKept(name, before, GuestContent.Of(files));
        Assert.True(after.Errors <= plan.Before.Errors, Text(after));
        Assert.Equal(plan.KeepsLeaks ? plan.Before.Leaks : 0, after.Leaks);
    }

    /// <summary>New structures behind the end would make what was cut off a part of the file again, as zeroes.</summary>
    [ToolFact("qemu-img", "qemu-io")]
    public void What_was_cut_off_does_not_come_back_as_zeroes()
    {
        ImageBytes image = SampleImages.Get("plain");
        image.Truncate(image.DataCluster(SampleImages.OtherTable) + image.ClusterSize);
        image.SetU64(image.RefcountTablePlace(0), 0);
        MemoryFileSystem files = image.ToMemory();
        List<string?> before = GuestContent.Of(files);
        Assert.Contains(null, before);
        RepairPlan plan = ImageRepair.Plan(files, Image, RepairScope.All);
        Assert.DoesNotContain(plan.Steps, s => s.Kind == RepairStepKind.RebuildCounts);
        Assert.Contains(plan.Remaining, f => f.Kind == CheckFindingKind.OutOfFile);
        ImageRepair.Execute(files, plan);
        Assert.Equal(before, GuestContent.Of(files));
    }

    [Fact]
    public void A_plan_for_another_state_is_refused()
    {
        MemoryFileSystem files = Damaged("leak by a lost L2 entry");
        RepairPlan plan = ImageRepair.Plan(files, Image, RepairScope.All);
        ImageRepair.Execute(files, plan);
        Assert.Equal(Qcow2ErrorCode.PlanOutdated, Assert.Throws<Qcow2Exception>(() => ImageRepair.Execute(files, plan)).Code);
    }
}
