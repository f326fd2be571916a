using SnapshotTools.Qcow2.Tests.Hostile;
using SnapshotTools.Qcow2.Tests.Matrix;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Qcow2.Tests.Checking;

public class DamageTests
{
    public static TheoryData<string> Names => [.. Damage.All.Select(d => d.Name)];

    public static TheoryData<string> Samples => [.. SampleImages.Names];

    [ToolTheory("qemu-img", "qemu-io")]
    [MemberData(nameof(Samples))]
    public void Samples_are_sound(string name)
    {
        CheckResult result = ImageCheck.Run(SampleImages.Get(name).ToMemory(), "/a.qcow2");
        Assert.True(result.IsClean, string.Join('\n', result.Findings));
    }

    [ToolTheory("qemu-img", "qemu-io")]
    [MemberData(nameof(Names))]
    public void Damage_is_found_at_least_as_well_as_by_qemu(string name)
    {
        Damage damage = Damage.All.Single(d => d.Name == name);
        ImageBytes image = SampleImages.Get(damage.Sample);
        damage.Do(image);

        using var folder = new TempFolder();
        image.Save(folder.File("a.qcow2"));
        QemuCheck judge = QemuJudge.Check(folder.File("a.qcow2"));
        QemuVerdict verdict = judge.ExitCode switch { 0 => QemuVerdict.Clean, 3 => QemuVerdict.Leaks, 2 => QemuVerdict.Corrupt, _ => QemuVerdict.Refused };
        Assert.True(damage.Qemu == verdict, $"qemu-img says {verdict}: {judge.Output}");

        if (damage.Refused is { } code)
        {
            Assert.Equal(code, Assert.Throws<Qcow2Exception>(() => ImageCheck.Run(image.ToMemory(), "/a.qcow2")).Code);
            return;
        }
        CheckResult result = ImageCheck.Run(image.ToMemory(), "/a.qcow2");
        CheckFindingKind[] kinds = [.. result.Findings.Select(f => f.Kind).Distinct()];
        string text = string.Join('\n', result.Findings.Select(f => $"{f.Kind}: {f.Message}").Take(30));
        Assert.True(damage.Finds.All(kinds.Contains), $"missing: {string.Join(' ', damage.Finds.Except(kinds))}\n{text}");
        bool harder = verdict switch
        {
            QemuVerdict.Clean => !result.IsClean,
            QemuVerdict.Leaks => result.Errors > 0,
            _ => false,
        };
        if (verdict == QemuVerdict.Leaks) Assert.True(result.Leaks > 0, text);
        if (verdict is QemuVerdict.Corrupt or QemuVerdict.Refused) Assert.True(result.Errors > 0, text);
        Assert.True(harder == (damage.Better is not null), $"ours is {(harder ? "" : "not ")}harder than QEMU's ({verdict}):\n{text}");
    }
}
