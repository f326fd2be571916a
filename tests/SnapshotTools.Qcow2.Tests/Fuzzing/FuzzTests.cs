using System.Diagnostics;
using System.Globalization;
using SnapshotTools.Testing;
using Xunit;
using Xunit.Abstractions;

namespace SnapshotTools.Qcow2.Tests.Fuzzing;

/// <summary>Random damage to real images, for reader, map, check, repair and writer. For as long as wanted:
/// <c>SNAPSHOTTOOLS_FUZZ_MINUTES=60 dotnet test tests/SnapshotTools.Qcow2.Tests --filter FuzzTests</c>, with
/// <c>SNAPSHOTTOOLS_FUZZ_SEED</c> to begin elsewhere. What it finds it prints as a line for <c>corpus.txt</c>.</summary>
public class FuzzTests(ITestOutputHelper output)
{
    private const int DefaultCases = 400;
    private const int QemuEvery = 10;

    public static TheoryData<string> Corpus => [.. File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Fuzzing", "corpus.txt")).Where(l => l.Length > 0 && l[0] != '#')];

    private static double Setting(string name, double otherwise) =>
        double.TryParse(Environment.GetEnvironmentVariable(name), CultureInfo.InvariantCulture, out double value) ? value : otherwise;

    [ToolTheory("qemu-img", "qemu-io")]
    [MemberData(nameof(Corpus))]
    public void What_was_found_once_stays_mended(string line)
    {
        string? wrong = FuzzJudge.Judge(FuzzCase.Parse(line), withQemu: true);
        Assert.True(wrong is null, wrong);
    }

    [ToolFact("qemu-img", "qemu-io")]
    public void Damaged_images_do_no_harm()
    {
        double minutes = Setting("SNAPSHOTTOOLS_FUZZ_MINUTES", 0);
        int seed = (int)Setting("SNAPSHOTTOOLS_FUZZ_SEED", 1);
        var clock = Stopwatch.StartNew();
        List<string> findings = [];
        int cases = 0;
        for (; minutes > 0 ? clock.Elapsed.TotalMinutes < minutes : cases < DefaultCases; cases++)
        {
            bool withQemu = cases % QemuEvery == 0;
            FuzzCase @case = new Mutator(unchecked((seed * 1_000_003) + cases)).Next();
            if (FuzzJudge.Judge(@case, withQemu) is null) continue;
            FuzzCase small = @case.Minimize(c => FuzzJudge.Judge(c, withQemu) is not null);
            findings.Add($"# {FuzzJudge.Judge(small, withQemu)?.Split('\n')[0]}\n{small}");
            if (findings.Count == 20) break;
        }
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{cases} damaged images, from seed {seed}"));
        Assert.True(findings.Count == 0, string.Join('\n', findings));
    }

    [Fact]
    public void A_case_survives_its_text()
    {
        var @case = new FuzzCase("tiny clusters", 0x1F000, [new Patch(0x4000, [0x80, 0, 1]), new Patch(0x30, [0xFF])]);
        Assert.Equal("tiny_clusters length=1f000 4000=800001 30=ff", @case.ToString());
        Assert.Equal(@case.ToString(), FuzzCase.Parse(@case.ToString()).ToString());
    }
}
