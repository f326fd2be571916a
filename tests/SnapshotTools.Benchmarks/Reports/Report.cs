using System.Text.Json;
using System.Text.Json.Serialization;
using SnapshotTools.Benchmarks.Harness;

namespace SnapshotTools.Benchmarks.Reports;

/// <summary>A whole run.</summary>
/// <param name="StartedAt">When it began.</param>
/// <param name="Scale">How much was measured.</param>
/// <param name="Command">The command line that repeats it.</param>
/// <param name="Machine">What it was measured on.</param>
/// <param name="Rows">The rows.</param>
public sealed record Report(
    DateTimeOffset StartedAt, [property: JsonConverter(typeof(JsonStringEnumConverter<Scale>))] Scale Scale, string Command, Machine Machine, IReadOnlyList<RowResult> Rows)
{
    private static readonly JsonSerializerOptions Options = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>How many goals were reached, as a sentence.</summary>
    [JsonIgnore]
    public string Reached => FormattableString.Invariant($"{Rows.Sum(r => r.Goals.Count(g => g.IsReached))} of {Rows.Sum(r => r.Goals.Count)} goals reached.");

    /// <summary>Writes results.json, results.md and results.svg.</summary>
    public void Save(string folder)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "results.json"), ToJson());
        File.WriteAllText(Path.Combine(folder, "results.md"), MarkdownTable.Of(this));
        File.WriteAllText(Path.Combine(folder, "results.svg"), RatioPlot.Of(this));
    }

    /// <summary>Puts the tables into a page, between its two marks, and the plot beside it.</summary>
    public void PutInto(string page)
    {
        const string begin = "<!-- results begin -->", end = "<!-- results end -->";
        string text = File.ReadAllText(page);
        int from = text.IndexOf(begin, StringComparison.Ordinal), to = text.IndexOf(end, StringComparison.Ordinal);
        if (from < 0 || to < from) throw new InvalidDataException($"'{page}' has no place for results: the marks {begin} and {end}.");
        File.WriteAllText(page, $"{text[..(from + begin.Length)]}\n\n{MarkdownTable.Of(this)}\n{text[to..]}");
        File.WriteAllText(Path.ChangeExtension(page, ".svg"), RatioPlot.Of(this));
    }

    /// <summary>The run as JSON, for comparing runs over time.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, Options);

    /// <summary>Reads <see cref="ToJson"/>.</summary>
    public static Report FromJson(string text) => JsonSerializer.Deserialize<Report>(text, Options) ?? throw new JsonException("It is no report.");
}
