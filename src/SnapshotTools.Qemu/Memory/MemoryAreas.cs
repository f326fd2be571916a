using System.Globalization;
using SnapshotTools.Qemu.Launch;

namespace SnapshotTools.Qemu.Memory;

/// <summary>What the system tells of a process's memory areas (proc(5), smaps).</summary>
internal static class MemoryAreas
{
    /// <summary>Write protection of pages is reported to a userfaultfd(2).</summary>
    public const string WriteProtectTracking = "uw";

    /// <summary>The process has asked for huge pages (madvise(2), MADV_HUGEPAGE).</summary>
    public const string HugePages = "hg";

    /// <summary>The areas with a flag; none where the system does not tell.</summary>
    public static List<(ulong Start, ulong Length)> Find(ProcessIdentity process, string flag)
    {
        var areas = new List<(ulong, ulong)>();
        try
        {
            (ulong, ulong) area = default;
            foreach (string line in File.ReadLines(string.Create(CultureInfo.InvariantCulture, $"/proc/{process.Id}/smaps")))
            {
                if (line.StartsWith("VmFlags:", StringComparison.Ordinal))
                {
                    if (line.Split(' ').Contains(flag)) areas.Add(area);
                }
                else if (char.IsAsciiHexDigitLower(line[0]) && line.IndexOf('-', StringComparison.Ordinal) is > 0 and int dash)
                {
                    int end = line.IndexOf(' ', dash);
                    ulong start = ulong.Parse(line.AsSpan(0, dash), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
                    area = (start, ulong.Parse(line.AsSpan(dash + 1, end - dash - 1), NumberStyles.HexNumber, CultureInfo.InvariantCulture) - start);
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
        }
        return areas;
    }
}
