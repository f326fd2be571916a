using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using SnapshotTools.Testing;

namespace SnapshotTools.Qcow2.Tests.Matrix;

/// <summary>What qemu-img says of an image: content, map, check.</summary>
public static class QemuJudge
{
    /// <summary>The guest content of an image (with its backing chain) or of one internal snapshot, as a raw file.</summary>
    public static string ConvertToRaw(string image, string target, string? snapshot = null)
    {
        string[] select = snapshot is null ? [] : ["-l", $"snapshot.name={snapshot}"];
        Tool.Run("qemu-img", ["convert", "-q", "-f", "qcow2", "-O", "raw", .. select, image, target]);
        return target;
    }

    /// <summary>The answer of qemu-img map, in guest order, without gaps.</summary>
    public static IReadOnlyList<QemuRange> Map(string image)
    {
        using var json = JsonDocument.Parse(Tool.Run("qemu-img", ["map", "-f", "qcow2", "--output=json", image]));
        return [.. json.RootElement.EnumerateArray().Select(e => new QemuRange(
            e.GetProperty("start").GetInt64(),
            e.GetProperty("length").GetInt64(),
            e.GetProperty("depth").GetInt32(),
            e.GetProperty("present").GetBoolean(),
            e.GetProperty("zero").GetBoolean(),
            e.GetProperty("data").GetBoolean(),
            e.TryGetProperty("offset", out JsonElement offset) ? offset.GetInt64() : null))];
    }

    /// <summary>The answer of qemu-img check; <paramref name="repair"/> is null, "leaks" or "all".</summary>
    public static QemuCheck Check(string image, string? repair = null)
    {
        string[] mode = repair is null ? [] : ["-r", repair];
        var (exitCode, output) = Tool.TryRun("qemu-img", ["check", "-f", "qcow2", .. mode, "--output=json", image]);
        // Messages stand between the lines of the JSON document.
        long Number(string name) =>
            Regex.Match(output, $"^    \"{name}\": (\\d+),?$", RegexOptions.Multiline) is { Success: true } match
                ? long.Parse(match.Groups[1].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture) : 0;
        return new QemuCheck(exitCode, output)
        {
            Corruptions = Number("corruptions"),
            Leaks = Number("leaks"),
            CheckErrors = Number("check-errors"),
            AllocatedClusters = Number("allocated-clusters"),
            CompressedClusters = Number("compressed-clusters"),
            ImageEnd = Number("image-end-offset"),
        };
    }

    /// <summary>Fails with what qemu-img says unless the image is without any finding.</summary>
    public static void AssertClean(string image)
    {
        QemuCheck check = Check(image);
        Xunit.Assert.True(check.ExitCode == 0, $"qemu-img check {image}: {check.Output}");
    }

    /// <summary>Fails unless two images have the same guest content.</summary>
    public static void AssertIdentical(string image, string format, string other, string otherFormat)
    {
        var (exitCode, output) = Tool.TryRun("qemu-img", ["compare", "-f", format, "-F", otherFormat, image, other]);
        Xunit.Assert.True(exitCode == 0, string.Create(CultureInfo.InvariantCulture, $"qemu-img compare {image} {other} ended with {exitCode}: {output}"));
    }
}

/// <summary>One range of qemu-img map.</summary>
public sealed record QemuRange(long Start, long Length, int Depth, bool Present, bool Zero, bool Data, long? Offset);

/// <summary>The verdict of qemu-img check. Exit codes: 0 clean, 2 corrupt, 3 leaks only, 1 the check itself failed.</summary>
public sealed record QemuCheck(int ExitCode, string Output)
{
    public long Corruptions { get; init; }

    public long Leaks { get; init; }

    public long CheckErrors { get; init; }

    public long AllocatedClusters { get; init; }

    public long CompressedClusters { get; init; }

    public long ImageEnd { get; init; }
}
