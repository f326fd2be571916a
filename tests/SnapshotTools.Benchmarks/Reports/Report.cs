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

    /// <summary>Writes results.json, results.md and results.svg.</summary>
    public void Save(string folder)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "results.json"), ToJson());
        File.WriteAllText(Path.Combine(folder, "results.md"), MarkdownTable.Of(this));
        File.WriteAllText(Path.Combine(folder, "results.svg"), RatioPlot.Of(this));
    }

    /// <summary>The run as JSON, for comparing runs over time.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, Options);

    /// <summary>Reads <see cref="ToJson"/>.</summary>
    public static Report FromJson(string text) => JsonSerializer.Deserialize<Report>(text, Options) ?? throw new JsonException("It is no report.");
}
