using Microsoft.Win32.SafeHandles;
using SnapshotTools.IO.Posix;

namespace SnapshotTools.IO.MacOS;

/// <summary>A file on macOS: F_FULLFSYNC, F_PUNCHHOLE and open-file-description locks. Not yet tried on a Mac.</summary>
internal sealed class MacFile(string path, SafeFileHandle handle, bool canWrite, string fileId)
    : PosixFile(path, handle, canWrite, fileId)
{
    private const short ReadLock = 1;
    private const short NoLock = 2;
    private const short WriteLock = 3;

    public override long Length => MacFileSystem.StatOf(Handle, Path).Size;

    protected override int SeekData => 4;

    protected override int SeekHole => 3;

    // macOS copies whole files only (clonefile makes a new name), so ranges go through the caller's buffers.
    public override long CopyRange(long offset, IBlockFile target, long targetOffset, long count) => 0;

    public override bool TryClone(IBlockFile target) => false;

    // fsync leaves the data in the drive's cache here; F_FULLFSYNC does not. Some network file systems know only fsync.
    protected override int SyncData()
    {
        if (MacLibc.FCntl(Handle, MacLibc.FullSync) == 0) return 0;
        return PosixError.Last is Errno.NotSupported or Errno.Invalid ? Libc.FSync(Handle) : -1;
    }

    protected override bool TryPunch(long offset, long count)
    {
        // APFS frees whole blocks only and refuses others: the caller then writes zeroes.
        MacLibc.Hole hole = new() { Offset = offset, Count = count };
        if (MacLibc.FCntl(Handle, MacLibc.PunchHole, ref hole) == 0) return true;
        return PosixError.Last is Errno.NotSupported or Errno.Invalid ? false : throw PosixError.Failed(Path, $"given a hole at {offset}");
    }

    protected override int SetLock(long offset, long count, LockKind? kind)
    {
        MacLibc.FLock request = Lock(offset, count, kind);
        return MacLibc.FCntl(Handle, MacLibc.SetOpenFileLock, ref request);
    }

    protected override bool? FindLock(long offset, long count, LockKind kind)
    {
        MacLibc.FLock request = Lock(offset, count, kind);
        return MacLibc.FCntl(Handle, MacLibc.GetOpenFileLock, ref request) == 0 ? request.Type != NoLock : null;
    }

    private static MacLibc.FLock Lock(long offset, long count, LockKind? kind) => new()
    {
        Type = kind switch { LockKind.Shared => ReadLock, LockKind.Exclusive => WriteLock, _ => NoLock },
        Start = offset,
        Count = count,
    };
}
