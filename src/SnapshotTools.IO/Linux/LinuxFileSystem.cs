using Microsoft.Win32.SafeHandles;
using SnapshotTools.IO.Posix;

namespace SnapshotTools.IO.Linux;

/// <summary>Files on Linux.</summary>
internal sealed class LinuxFileSystem : PosixFileSystem, IFileSystem
{
    private const int StatBlock = 512;

    public bool TryFlushTogether(IReadOnlyList<IBlockFile> files, string directory)
    {
        RequirePath(directory);
        if (!CommonFlush.IsWorthIt(files)) return false;
        using SafeFileHandle handle = OpenDirectory(directory);
        if (!CommonFlush.IsPossible(handle, directory, files)) return false;
        CommonFlush.Do(handle, directory, files);
        // Without a journal ext4 sends the disk's flush before the inodes: theirs is the directory's.
        SyncDirectory(handle, directory);
        return true;
    }

    internal static LinuxLibc.Statx StatOf(SafeFileHandle handle, string path) =>
        LinuxLibc.StatHandle(handle, "", LinuxLibc.StatOfHandle, LinuxLibc.BasicStats, out LinuxLibc.Statx stat) == 0
            ? stat
            : throw PosixError.Failed(path, "examined");

    /// <summary>How the <see cref="FileStat.FileId"/> of every file on that device begins.</summary>
    internal static string DeviceOf(in LinuxLibc.Statx stat) => $"{stat.DeviceMajor}:{stat.DeviceMinor}:";

    protected override SafeFileHandle OpenHandle(string path, bool write, bool follow) =>
        Opened(path, "opened", (write ? LinuxLibc.ReadWrite : LinuxLibc.ReadOnly) | LinuxLibc.NonBlocking | (follow ? 0 : LinuxLibc.NoFollow), 0);

    protected override SafeFileHandle CreateHandle(string path, uint mode) =>
        Opened(path, "created", LinuxLibc.ReadWrite | LinuxLibc.Create | LinuxLibc.Exclusive | LinuxLibc.NoFollow, mode);

    protected override SafeFileHandle OpenDirectory(string path) =>
        Opened(path, "opened", LinuxLibc.ReadOnly | LinuxLibc.Directory, 0);

    protected override int SyncDirectory(SafeFileHandle directory) => Libc.FSync(directory);

    protected override FileStat? StatPath(string path, bool follow)
    {
        if (LinuxLibc.StatPath(LinuxLibc.CurrentDirectory, path, follow ? 0 : LinuxLibc.StatOfLink, LinuxLibc.BasicStats, out LinuxLibc.Statx stat) == 0)
            return ToStat(path, stat);
        return PosixError.Last is Errno.NotFound or Errno.NotADirectory ? null : throw PosixError.Failed(path, "examined");
    }

    protected override FileStat StatHandle(string path, SafeFileHandle handle) => ToStat(path, StatOf(handle, path));

    protected override IBlockFile Wrap(string path, SafeFileHandle handle, bool canWrite, string fileId) =>
        new LinuxFile(path, handle, canWrite, fileId);

    private static SafeFileHandle Opened(string path, string cannotBe, int flags, uint mode)
    {
        while (true)
        {
            SafeFileHandle handle = LinuxLibc.Open(path, flags | LinuxLibc.CloseOnExec, mode);
            if (!handle.IsInvalid) return handle;
            IOException failure = PosixError.Failed(path, cannotBe);
            bool again = PosixError.Last == Errno.Interrupted;
            handle.Dispose();
            if (!again) throw failure;
        }
    }

    private static FileStat ToStat(string path, in LinuxLibc.Statx stat) => new(
        path,
        (stat.Mode & 0xf000) switch { 0x8000 => FileKind.Regular, 0x4000 => FileKind.Directory, 0xa000 => FileKind.Link, _ => FileKind.Other },
        stat.Size,
        stat.Blocks * StatBlock,
        DateTimeOffset.FromUnixTimeSeconds(stat.ModifiedSeconds).AddTicks(stat.ModifiedNanoseconds / 100),
        $"{DeviceOf(stat)}{stat.Inode}");
}
