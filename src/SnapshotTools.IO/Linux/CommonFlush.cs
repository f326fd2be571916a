using System.Buffers.Text;
using Microsoft.Win32.SafeHandles;
using SnapshotTools.IO.Posix;

namespace SnapshotTools.IO.Linux;

/// <summary>
/// Several files made durable by one syncfs(2). An fdatasync(2) for each sends a flush to the disk each time, and most of them one after the other.
/// syncfs writes out whatever anyone has left to be written on that file system, so it is for times when that is little.
/// </summary>
internal static class CommonFlush
{
    // With fewer it takes as long as one by one.
    private const int MinFiles = 3;

    // A few milliseconds of a disk's time, at most what so many flushes take.
    private const long MaxUnwritten = 4 << 20;

    // Until then syncfs did not tell of writes that failed.
    private static readonly bool TellsOfFailures = Environment.OSVersion.Version >= new Version(5, 8);

    public static bool IsWorthIt(IReadOnlyList<IBlockFile> files) => files.Count >= MinFiles && TellsOfFailures;

    /// <summary>Whether all files are on the directory's file system, one whose syncfs is known to reach the disk (that of FUSE, for one, does not), and little else has to be written.</summary>
    public static bool IsPossible(SafeFileHandle directory, string path, IReadOnlyList<IBlockFile> files)
    {
        if (LinuxLibc.FStatFs(directory, out LinuxLibc.StatFs stat) != 0 || stat.Type is not (LinuxLibc.ExtMagic or LinuxLibc.XfsMagic)) return false;
        string device = LinuxFileSystem.DeviceOf(LinuxFileSystem.StatOf(directory, path));
        foreach (IBlockFile file in files)
            if (file is not LinuxFile || !file.FileId.StartsWith(device, StringComparison.Ordinal)) return false;
        return UnwrittenBytes() is <= MaxUnwritten;
    }

    public static void Do(SafeFileHandle directory, string path, IReadOnlyList<IBlockFile> files)
    {
        // syncfs does not say which file lost a write, nor tell of what somebody else's was told already.
        foreach (IBlockFile file in files) ((LinuxFile)file).WaitForData();
        while (LinuxLibc.SyncFs(directory) != 0)
            if (PosixError.Last != Errno.Interrupted) throw PosixError.Failed(path, "made durable");
    }

    /// <summary>What this machine holds back or is writing, for all its disks (proc_meminfo(5)); null where that cannot be told.</summary>
    private static unsafe long? UnwrittenBytes()
    {
        using SafeFileHandle handle = LinuxLibc.Open("/proc/meminfo", LinuxLibc.ReadOnly | LinuxLibc.CloseOnExec, 0);
        if (handle.IsInvalid) return null;
        byte* start = stackalloc byte[4096];
        nint length = Libc.PRead(handle, start, 4096, 0);
        if (length <= 0) return null;
        var text = new ReadOnlySpan<byte>(start, (int)length);
        return Kibibytes(text, "\nDirty:"u8) + Kibibytes(text, "\nWriteback:"u8) is { } sum ? sum << 10 : null;
    }

    private static long? Kibibytes(ReadOnlySpan<byte> text, ReadOnlySpan<byte> name)
    {
        int at = text.IndexOf(name);
        return at >= 0 && Utf8Parser.TryParse(text[(at + name.Length)..].TrimStart((byte)' '), out long value, out _) ? value : null;
    }
}
