using System.Globalization;
using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>Finds who has locked an image, for the message only: on Linux, from what /proc shows this user.</summary>
internal static class LockHolders
{
    private const int FirstByte = 100;
    private const int LastByte = 299;
    private const int MaxNamed = 3;

    /// <summary>The processes, such as "qemu-system-x86 (process 1234)", or "another process" where none can be told.</summary>
    public static string Describe(IBlockFile file)
    {
        string[] holders = [];
        try
        {
            if (OperatingSystem.IsLinux()) holders = [.. Find(file)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // What /proc hides or loses meanwhile is not worth an error within an error.
        }
        return holders.Length == 0 ? "another process" : string.Join(", ", holders);
    }

    private static IEnumerable<string> Find(IBlockFile file)
    {
        string inode = file.FileId[(file.FileId.LastIndexOf(':') + 1)..];
        int named = 0;
        foreach (string process in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(process), NumberStyles.None, CultureInfo.InvariantCulture, out int id)) continue;
            int own = id == Environment.ProcessId ? 1 : 0;
            // Locking leaves traces of this very attempt: this process counts only with a second open file.
            if (CountHolding(process, inode) <= own) continue;
            yield return id == Environment.ProcessId ? "this process itself" : $"{NameOf(process)} (process {id})";
            if (++named == MaxNamed) yield break;
        }
    }

    private static int CountHolding(string process, string inode)
    {
        try
        {
            return Directory.EnumerateFiles(process + "/fdinfo").Count(f => HasImageLock(f, inode));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
    }

    // A line is: lock: 1: OFDLCK  ADVISORY  READ -1 fe:00:1234 100 100
    private static bool HasImageLock(string fdinfo, string inode)
    {
        try
        {
            return File.ReadLines(fdinfo).Any(line =>
                line.StartsWith("lock:", StringComparison.Ordinal)
                && line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [.., "-1", var id, var first, _]
                && id.EndsWith(':' + inode, StringComparison.Ordinal)
                && int.TryParse(first, NumberStyles.None, CultureInfo.InvariantCulture, out int position)
                && position is >= FirstByte and <= LastByte);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static string NameOf(string process)
    {
        string name = File.ReadAllText(process + "/comm").TrimEnd('\n');
        return string.Concat(name.Where(c => !char.IsControl(c)));
    }
}
