using System.Globalization;

namespace SnapshotTools.Testing;

/// <summary>What the system keeps of a file in memory.</summary>
public static class PageCache
{
    /// <summary>The program that tells.</summary>
    public const string Judge = "fincore";

    /// <summary>Bytes of a file that are in the page cache.</summary>
    public static long BytesOf(string path) =>
        long.Parse(Tool.Run(Judge, ["--bytes", "--raw", "--noheadings", "--output", "RES", path]), CultureInfo.InvariantCulture);
}
