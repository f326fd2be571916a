using System.Globalization;

namespace SnapshotTools.Benchmarks.Harness;

/// <summary>
/// Folders in which a new file takes no longer than it must. Without a journal ext4 looks for each new inode past all that were deleted in the same
/// block group in the last minutes, by whomever, up to 0.4 ms long: a contender would pay for what others cleaned up.
/// </summary>
internal static class FreshFolders
{
    private const int Candidates = 6, FilesEach = 16;

    // ext4 chooses the group by the name: one that no earlier run gave leads elsewhere than theirs.
    private static readonly string Suffix = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);

    /// <summary>Makes a folder that can hold others of that kind.</summary>
    public static void MakeParent(string path) => Native.SpreadFolders(Directory.CreateDirectory(path).FullName);

    /// <summary>Makes a folder within one of <see cref="MakeParent"/>, the best of some; its name begins as is said.</summary>
    public static string Make(string begin)
    {
        string[] paths = [.. Enumerable.Range(1, Candidates).Select(i => Directory.CreateDirectory($"{begin}-{Suffix}-{i}").FullName)];
        string best = paths.MinBy(SecondsForFile)!;
        foreach (string path in paths.Where(p => p != best)) Directory.Delete(path);
        return best;
    }

    private static double SecondsForFile(string folder)
    {
        string[] files = [.. Enumerable.Range(1, FilesEach).Select(i => Path.Combine(folder, $"{i}"))];
        double median = Sample.Of(files.Select(f => Contender.Time(() => File.Create(f).Dispose()))).Median;
        foreach (string file in files) File.Delete(file);
        return median;
    }
}
