using Microsoft.Win32.SafeHandles;
using SnapshotTools.IO.Posix;

namespace SnapshotTools.IO.MacOS;

/// <summary>Files on macOS. Not yet tried on a Mac.</summary>
internal sealed class MacFileSystem : PosixFileSystem
{
    private const int StatBlock = 512;

    internal static MacLibc.Stat StatOf(SafeFileHandle handle, string path) =>
        MacLibc.StatHandle(handle, out MacLibc.Stat stat) == 0 ? stat : throw PosixError.Failed(path, "examined");

    protected override SafeFileHandle OpenHandle(string path, bool write, bool follow) =>
        Opened(path, "opened", (write ? MacLibc.ReadWrite : MacLibc.ReadOnly) | MacLibc.NonBlocking | (follow ? 0 : MacLibc.NoFollow), 0);

    protected override SafeFileHandle CreateHandle(string path, uint mode) =>
        Opened(path, "created", MacLibc.ReadWrite | MacLibc.Create | MacLibc.Exclusive | MacLibc.NoFollow, mode);

    protected override SafeFileHandle OpenDirectory(string path) =>
        Opened(path, "opened", MacLibc.ReadOnly | MacLibc.Directory, 0);

    protected override int SyncDirectory(SafeFileHandle directory) =>
        MacLibc.FCntl(directory, MacLibc.FullSync) == 0 ? 0 : Libc.FSync(directory);

    protected override FileStat? StatPath(string path, bool follow)
    {
        if (MacLibc.StatPath(path, follow, out MacLibc.Stat stat) == 0) return ToStat(path, stat);
        return PosixError.Last is Errno.NotFound or Errno.NotADirectory ? null : throw PosixError.Failed(path, "examined");
    }

    protected override FileStat StatHandle(string path, SafeFileHandle handle) => ToStat(path, StatOf(handle, path));

    protected override IBlockFile Wrap(string path, SafeFileHandle handle, bool canWrite, string fileId) =>
        new MacFile(path, handle, canWrite, fileId);

    private static SafeFileHandle Opened(string path, string cannotBe, int flags, uint mode)
    {
        SafeFileHandle handle = MacLibc.Open(path, flags | MacLibc.CloseOnExec, mode);
        if (!handle.IsInvalid) return handle;
        IOException failure = PosixError.Failed(path, cannotBe);
        handle.Dispose();
        throw failure;
    }

    private static FileStat ToStat(string path, in MacLibc.Stat stat) => new(
        path,
        (stat.Mode & 0xf000) switch { 0x8000 => FileKind.Regular, 0x4000 => FileKind.Directory, 0xa000 => FileKind.Link, _ => FileKind.Other },
        stat.Size,
        stat.Blocks * StatBlock,
        DateTimeOffset.FromUnixTimeSeconds(stat.ModifiedSeconds).AddTicks(stat.ModifiedNanoseconds / 100),
        $"{stat.Device}:{stat.Inode}");
}
