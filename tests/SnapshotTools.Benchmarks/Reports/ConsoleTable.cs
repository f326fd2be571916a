using System.Globalization;
using System.Text;
using SnapshotTools.Benchmarks.Harness;

namespace SnapshotTools.Benchmarks.Reports;

/// <summary>A row as a person reads it in a terminal.</summary>
internal static class ConsoleTable
{
    public static string Of(RowResult row)
    {
        var text = new StringBuilder().Append(CultureInfo.InvariantCulture, $"{row.Id}: {row.Work}\n");
        double? ours = row.Ours?.Sample.Median;
        foreach (var c in row.Contenders)
        {
            string ratio = ours is { } median && c.Role != Role.Ours ? Numbers.Ratio(c.Sample.Median / median) + " ours" : "";
            text.Append(CultureInfo.InvariantCulture, $"  {c.Role,-9} {c.Name,-58} {Numbers.Format(c.Sample.Median, row.Unit),9} {Numbers.Percent(c.Sample.Spread),6}  n={c.Sample.Count,-3} {ratio}\n");
        }
        foreach (var goal in row.Goals) text.Append(CultureInfo.InvariantCulture, $"  {(goal.IsReached ? "reached" : "MISSED ")}   {goal.Text}: {goal.Reached}\n");
        foreach (string note in row.Notes) text.Append(CultureInfo.InvariantCulture, $"  note      {note}\n");
        foreach (string reason in row.NotRun) text.Append(CultureInfo.InvariantCulture, $"  not run   {reason}\n");
        return text.ToString();
    }
}
