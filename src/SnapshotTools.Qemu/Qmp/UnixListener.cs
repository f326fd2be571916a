using System.Text;

namespace SnapshotTools.Qemu.Qmp;

/// <summary>What the kernel tells of who is connected to a Unix socket (/proc/net/unix, proc(5)).</summary>
internal static class UnixListener
{
    // Columns: Num, RefCount, Protocol, Flags, Type, St, Inode, Path. A connection that waits to be taken is CONNECTING.
    private const int StateColumn = 5, PathColumn = 7;
    private const string Unconnected = "01", Connected = "03";

    /// <summary>Whether who listens at a path has taken a connection that is still open; null where the system does not tell.</summary>
    public static bool? HasClient(string path)
    {
        if (!OperatingSystem.IsLinux()) return null;
        try
        {
            var states = File.ReadLines("/proc/net/unix", Encoding.UTF8)
                .Select(line => line.Split(' ', PathColumn + 1, StringSplitOptions.RemoveEmptyEntries))
                .Where(columns => columns.Length > PathColumn && columns[PathColumn] == path)
                .Select(columns => columns[StateColumn]).ToHashSet();
            return states.Contains(Connected) ? true : states.Contains(Unconnected) ? false : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
