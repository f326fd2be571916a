using System.Globalization;

namespace SnapshotTools.Testing;

/// <summary>
/// How much the tests of reliability try, and from which seed: little in CI, and as much as wanted by hand
/// (<c>build.ps1 -Task Torture</c>). What they tried goes as figures into the file that <c>SNAPSHOTTOOLS_FIGURES</c> names.
/// </summary>
public static class Effort
{
    private static readonly Lock Gate = new();

    /// <summary>Where random choices begin; with the same seed a failure comes again.</summary>
    public static int Seed { get; } = Read("SNAPSHOTTOOLS_SEED", 1);

    /// <summary>How many times the usual amount is tried.</summary>
    public static int Factor { get; } = Read("SNAPSHOTTOOLS_EFFORT", 1);

    /// <summary>Adds to a figure of this run, such as "crash states".</summary>
    public static void Count(string figure, long count)
    {
        if (Environment.GetEnvironmentVariable("SNAPSHOTTOOLS_FIGURES") is not { Length: > 0 } path) return;
        lock (Gate) File.AppendAllText(path, string.Create(CultureInfo.InvariantCulture, $"{figure}\t{count}\n"));
    }

    private static int Read(string name, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(name), NumberStyles.None, CultureInfo.InvariantCulture, out int value) ? value : otherwise;
}
