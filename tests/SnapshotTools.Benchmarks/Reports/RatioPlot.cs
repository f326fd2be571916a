using System.Globalization;
using System.Security;
using System.Text;
using SnapshotTools.Benchmarks.Harness;

namespace SnapshotTools.Benchmarks.Reports;

/// <summary>A run as a picture: for each row, on a logarithmic scale, how many times longer each contender takes than ours.</summary>
internal static class RatioPlot
{
    private const int Left = 260, Width = 900, RowHeight = 22, Top = 60;
    private const double Smallest = 0.05, Largest = 500;

    public static string Of(Report report)
    {
        var rows = report.Rows.Where(r => r.Ours is not null).ToList();
        int height = Top + rows.Count * RowHeight + 30;
        var svg = new StringBuilder();
        Add(svg, $"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{Left + Width + 20}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">");
        Add(svg, $"<rect width=\"100%\" height=\"100%\" fill=\"white\"/>");
        Add(svg, $"<text x=\"10\" y=\"20\" font-size=\"14\">Time relative to SnapshotTools (1×); further right is slower. {report.StartedAt:yyyy-MM-dd}, scale {report.Scale}</text>");
        Add(svg, $"<text x=\"10\" y=\"38\"><tspan fill=\"#c0392b\">● peer</tspan>  <tspan fill=\"#7f8c8d\">● limit</tspan>  <tspan fill=\"#2980b9\">● reference</tspan></text>");
        foreach (double tick in new[] { 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200 })
        {
            Add(svg, $"<line x1=\"{X(tick):0.0}\" x2=\"{X(tick):0.0}\" y1=\"{Top - 8}\" y2=\"{height - 24}\" stroke=\"{(tick == 1 ? "#27ae60" : "#ecf0f1")}\" stroke-width=\"{(tick == 1 ? 2 : 1)}\"/>");
            Add(svg, $"<text x=\"{X(tick):0.0}\" y=\"{height - 8}\" text-anchor=\"middle\">{tick.ToString(CultureInfo.InvariantCulture)}×</text>");
        }
        for (int i = 0; i < rows.Count; i++)
        {
            int y = Top + i * RowHeight + RowHeight / 2;
            Add(svg, $"<text x=\"{Left - 10}\" y=\"{y + 4}\" text-anchor=\"end\">{SecurityElement.Escape(rows[i].Id)}</text>");
            double ours = rows[i].Ours!.Sample.Median;
            foreach (var c in rows[i].Contenders.Where(c => c.Role is Role.Peer or Role.Limit or Role.Reference))
                Add(svg, $"<circle cx=\"{X(c.Sample.Median / ours):0.0}\" cy=\"{y}\" r=\"5\" fill=\"{Color(c.Role)}\"><title>{SecurityElement.Escape(c.Name)}: {Numbers.Format(c.Sample.Median, rows[i].Unit)}</title></circle>");
        }
        Add(svg, $"</svg>");
        return svg.ToString();
    }

    private static double X(double ratio) =>
        Left + Width * Math.Log(Math.Clamp(ratio, Smallest, Largest) / Smallest) / Math.Log(Largest / Smallest);

    private static string Color(Role role) => role switch { Role.Peer => "#c0392b", Role.Limit => "#7f8c8d", _ => "#2980b9" };

    private static void Add(StringBuilder svg, FormattableString line) => svg.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
}
