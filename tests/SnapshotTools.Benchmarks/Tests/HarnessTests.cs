using SnapshotTools.Benchmarks.Harness;
using SnapshotTools.Benchmarks.Reports;
using SnapshotTools.Benchmarks.Rows;
using SnapshotTools.Testing;
using Xunit;
using Xunit.Abstractions;

namespace SnapshotTools.Benchmarks.Tests;

/// <summary>That the benchmark works; its figures are nobody's business here.</summary>
public class HarnessTests(ITestOutputHelper output)
{
    /// <summary>All but those that would boot another guest to do the same as one of these.</summary>
    public static TheoryData<string> Ids => [.. Catalogue.Rows.Where(r => r.IsQuick || !(r.Id.StartsWith("live/", StringComparison.Ordinal) || r.Id.StartsWith("checkpoint/", StringComparison.Ordinal))).Select(r => r.Id)];

    /// <summary>What <c>-Quick</c> measures, measured so; the other rows as small as can be.</summary>
    [Theory]
    [MemberData(nameof(Ids))]
    public void Every_row_measures_or_names_what_is_missing(string id)
    {
        var row = Catalogue.Rows.Single(r => r.Id == id);
        using var folder = new TempFolder();
        var result = Runner.Run([row], row.IsQuick ? Scale.Quick : Scale.Smoke, folder.Path, output.WriteLine).Single();
        output.WriteLine(ConsoleTable.Of(result));
        Assert.Empty(Directory.GetFileSystemEntries(folder.Path));
        if (result.Ours is null) Assert.NotEmpty(result.NotRun);
        else Assert.All(result.Contenders, c => Assert.True(c.Sample.Median > 0, c.Name));
    }

    [Theory]
    [InlineData(1), InlineData(2), InlineData(3), InlineData(4), InlineData(5), InlineData(6), InlineData(7)]
    public void Each_contender_follows_each_of_the_others_equally_often(int count)
    {
        int[] contenders = [.. Enumerable.Range(0, count)];
        var rounds = Enumerable.Range(0, 2 * count).Select(round => Turns.Of(contenders, round).ToArray()).ToList();
        Assert.All(rounds, r => Assert.Equal(contenders, r.Order()));
        var followed = rounds.SelectMany(r => r.Zip(r.Skip(1))).CountBy(pair => pair).ToDictionary();
        Assert.Equal(count * (count - 1), followed.Count);
        Assert.All(followed.Values, times => Assert.Equal(2, times));
        Assert.All(contenders, c => Assert.Equal(2, rounds.Count(r => r[0] == c)));
    }

    [Fact]
    public void Filters_choose_rows()
    {
        Assert.Equal(Catalogue.Rows, Catalogue.Matching(null, Scale.Full));
        Assert.True(Catalogue.Matching(null, Scale.Quick).Count < Catalogue.Rows.Count);
        Assert.Equal(["snapshot/1"], Catalogue.Matching("snapshot/1", Scale.Quick).Select(r => r.Id));
        Assert.Equal(["snapshot/1", "snapshot/16", "snapshot/1000-snapshots"], Catalogue.Matching("snapshot/1*", Scale.Quick).Select(r => r.Id));
        Assert.Equal(["live/16-idle", "live/16-load"], Catalogue.Matching("live/16", Scale.Quick).Select(r => r.Id));
        Assert.Equal(["snapshot/4", "restore/4"], Catalogue.Matching("*s*t*/4", Scale.Full).Select(r => r.Id));
        Assert.Empty(Catalogue.Matching("nothing", Scale.Full));
        Assert.Equal(Catalogue.Rows.Count, Catalogue.Rows.Select(r => r.Id).Distinct().Count());
    }

    [Fact]
    public void Samples_are_described_by_their_quartiles()
    {
        var sample = Sample.Of([5, 1, 4, 2, 3]);
        Assert.Equal(new Sample(5, 3, 2, 4, 1, 5), sample);
        Assert.Equal(1.0 / 3, sample.Spread, 12);
        Assert.Equal(1.5, Sample.Of([2, 1]).Median);
        Assert.Throws<ArgumentException>(() => Sample.Of([]));
    }

    [Fact]
    public void Contenders_take_turns_and_goals_are_judged_by_medians()
    {
        using var folder = new TempFolder();
        var order = new List<string>();
        var row = new Row("a/b", "work", run =>
        {
            run.Measure(2, 1, Fixed("ours", Role.Ours, 2), Fixed("peer", Role.Peer, 6), Fixed("worse", Role.Peer, 7), Fixed("limit", Role.Limit, 1));
            run.GoalFaster(3);
            run.GoalFaster(3.5, "worse", name => name == "worse");
            run.GoalOfLimit(1.9);
            throw new NotHereException("something is missing");
        });
        var result = Runner.Run([row], Scale.Full, folder.Path, _ => { }).Single();
        Assert.Equal(["ours", "limit", "peer", "worse", "peer", "ours", "worse", "limit", "worse", "peer", "limit", "ours"], order);
        Assert.Equal([true, true, false], result.Goals.Select(g => g.IsReached));
        Assert.Equal(["something is missing"], result.NotRun);
        Assert.Equal(2, result.Ours!.Sample.Count);

        Contender Fixed(string name, Role role, double value) => new(name, role, () => { order.Add(name); return value; });
    }

    [Fact]
    public void Reports_can_be_read_again_and_name_every_row()
    {
        using var folder = new TempFolder();
        var rows = new[]
        {
            new RowResult { Id = "snapshot/1", Work = "work <&|", Contenders = [new("ours", Role.Ours, Sample.Of([0.001])), new("qemu <x>", Role.Peer, Sample.Of([0.004]))], Goals = [new("≥ 4×", "4.00×", true)] },
            new RowResult { Id = "live/1", Work = "other", NotRun = ["no virsh"] },
        };
        var machine = new Machine("a processor", 1L << 34, "ext4", "Linux", ["QEMU 7.2"], "0.1");
        new Report(DateTimeOffset.UnixEpoch, Scale.Full, "build/pwsh build.ps1 -Task Bench", machine, rows).Save(folder.Path);
        var again = Report.FromJson(File.ReadAllText(folder.File("results.json")));
        Assert.Equal(rows[0].Contenders, again.Rows[0].Contenders);
        string markdown = File.ReadAllText(folder.File("results.md"));
        Assert.Contains("| work <&\\| | 1.00 ms ±0 % | 4.00 ms (qemu <x>) | 4.00× |", markdown);
        Assert.Contains("`live/1`: no virsh", markdown);
        File.WriteAllText(folder.File("page.md"), "before\n<!-- results begin -->\nold\n<!-- results end -->\nafter\n");
        again.PutInto(folder.File("page.md"));
        string page = File.ReadAllText(folder.File("page.md"));
        Assert.StartsWith("before\n<!-- results begin -->\n\nMeasured on 1970-01-01", page);
        Assert.Contains("1 of 1 goals reached.", page);
        Assert.EndsWith("\n<!-- results end -->\nafter\n", page);
        Assert.DoesNotContain("old\n", page);
        var plot = System.Xml.Linq.XDocument.Load(folder.File("results.svg"));
        Assert.Contains("snapshot/1", plot.Root!.Value);
    }
}
