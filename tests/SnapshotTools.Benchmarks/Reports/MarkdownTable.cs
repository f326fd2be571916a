using System.Globalization;
using System.Text;
using SnapshotTools.Benchmarks.Harness;

namespace SnapshotTools.Benchmarks.Reports;

/// <summary>A run as the table of docs/performance.md.</summary>
internal static class MarkdownTable
{
    public static string Of(Report report)
    {
        var text = new StringBuilder();
        var machine = report.Machine;
        Line(text, $"Measured on {report.StartedAt:yyyy-MM-dd}, scale {report.Scale}, with `{report.Command}`. {report.Reached}");
        Line(text, $"");
        Line(text, $"- {machine.Processor}; {machine.MemoryBytes / (double)(1L << 30):0} GiB of memory; {machine.System}");
        Line(text, $"- {machine.FileSystem}");
        Line(text, $"- {string.Join("; ", machine.Versions)}");
        Line(text, $"- load average {machine.Load}");
        Line(text, $"");
        Line(text, $"| work | ours | best peer | peer ÷ ours | limit | goal | reached |");
        Line(text, $"|---|---|---|---|---|---|---|");
        foreach (var row in report.Rows.Where(r => r.Ours is not null)) Summary(text, row);
        Line(text, $"");
        Line(text, $"### Every contender");
        Line(text, $"");
        Line(text, $"Medians, with half of the distance between the quartiles.");
        Line(text, $"");
        Line(text, $"| row | contender | role | median | spread | from | to | n |");
        Line(text, $"|---|---|---|---|---|---|---|---|");
        foreach (var row in report.Rows)
            foreach (var c in row.Contenders)
                Line(text, $"| `{row.Id}` | {Cell(c.Name)} | {RoleName(c.Role)} | {Numbers.Format(c.Sample.Median, row.Unit)} | {Numbers.Percent(c.Sample.Spread)} | {Numbers.Format(c.Sample.Min, row.Unit)} | {Numbers.Format(c.Sample.Max, row.Unit)} | {c.Sample.Count} |");
        Notes(text, "Notes", report.Rows.Select(r => (r.Id, r.Notes)));
        Notes(text, "Not run on this machine", report.Rows.Select(r => (r.Id, r.NotRun)));
        return text.ToString();
    }

    private static void Summary(StringBuilder text, RowResult row)
    {
        double ours = row.Ours!.Sample.Median;
        var peer = row.BestPeer ?? row.Best(Role.Reference);
        string peerCell = peer is null ? "" : $"{Numbers.Format(peer.Sample.Median, row.Unit)} ({Cell(peer.Name)})";
        string ratio = peer is null || peer.Role == Role.Reference ? "" : Numbers.Ratio(peer.Sample.Median / ours);
        string limit = row.Limit is { } l ? Numbers.Format(l.Sample.Median, row.Unit) : "";
        Line(text, $"| {Cell(row.Work)} | {Numbers.Format(ours, row.Unit)} {Numbers.Percent(row.Ours.Sample.Spread)} | {peerCell} | {ratio} | {limit} | {string.Join("<br>", row.Goals.Select(g => g.Text))} | {string.Join("<br>", row.Goals.Select(g => $"{(g.IsReached ? "yes" : "**no**")} ({g.Reached})"))} |");
    }

    private static void Notes(StringBuilder text, string title, IEnumerable<(string Id, IReadOnlyList<string> Lines)> rows)
    {
        var lines = rows.SelectMany(r => r.Lines.Select(l => $"- `{r.Id}`: {l}")).ToList();
        if (lines.Count == 0) return;
        Line(text, $"");
        Line(text, $"### {title}");
        Line(text, $"");
        foreach (string line in lines) Line(text, $"{line}");
    }

    private static string Cell(string text) => text.Replace("|", "\\|", StringComparison.Ordinal);

    private static string RoleName(Role role) => role.ToString().ToLowerInvariant();

    private static void Line(StringBuilder text, FormattableString line) => text.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
}
