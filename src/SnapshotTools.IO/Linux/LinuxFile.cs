using Microsoft.Win32.SafeHandles;
using SnapshotTools.IO.Posix;

namespace SnapshotTools.IO.Linux;

/// <summary>A file on Linux: fdatasync, hole punching, reflinks and open-file-description locks.</summary>
internal sealed class LinuxFile(string path, SafeFileHandle handle, bool canWrite, string fileId)
    : PosixFile(path, handle, canWrite, fileId), IBlockFile
{
    private const short ReadLock = 0;
    private const short WriteLock = 1;
    private const short NoLock = 2;

    // One call copies at most this much, so that progress and cancellation are not held up by it.
    private const long CopyStep = 64L << 20;

    private DirectWriter? _direct;   // most files are never written in bulk
    private bool? _copiesByMoving;

    public override long Length => LinuxFileSystem.StatOf(Handle, Path).Size;

    protected override int SeekData => 3;

    protected override int SeekHole => 4;

    public void WriteBulk(long offset, ReadOnlySpan<byte> data)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        RequireWritable();
        int done = LazyInitializer.EnsureInitialized(ref _direct, () => new DirectWriter(Handle)).Write(offset, data);
        if (done == data.Length) return;
        Write(offset + done, data[done..]);
        BeginFlush(offset + done, data.Length - done);
    }

    public override void Dispose()
    {
        _direct?.Dispose();
        base.Dispose();
    }

    // Only a hint: what goes wrong here, Flush reports.
    public void BeginFlush(long offset, long count) => _ = LinuxLibc.SyncFileRange(Handle, offset, count, LinuxLibc.StartWriting);

    public void DropFromCache(long offset, long count) => _ = LinuxLibc.FAdvise(Handle, offset, count, LinuxLibc.NotNeeded);

    /// <summary>Waits until what was written is on the disk, though not what leads there: inode, length, blocks. Tells of a write that was lost before, as <see cref="PosixFile.Flush"/> does.</summary>
    public void WaitForData() => MakeDurable(static file => LinuxLibc.SyncFileRange(file.Handle, 0, 0, LinuxLibc.WriteAndWait));

    public override long CopyRange(long offset, IBlockFile target, long targetOffset, long count)
    {
        if (target is not LinuxFile other || other.CopiesByMoving) return 0;
        other.RequireWritable();
        long done = 0;
        while (done < count)
        {
            long from = offset + done, to = targetOffset + done;
            nint n = LinuxLibc.CopyFileRange(Handle, ref from, other.Handle, ref to, (nuint)Math.Min(count - done, CopyStep), 0);
            if (n > 0)
            {
                done += n;
                continue;
            }
            if (n == 0) break;
            switch (PosixError.Last)
            {
                case Errno.Interrupted:
                    continue;
                case Errno.CrossDevice or Errno.Invalid or Errno.NotImplemented or Errno.NotSupported or Errno.TextBusy or Errno.NotPermitted:
                    return done;
                case Errno.NoSpace or Errno.QuotaExceeded:
                    throw new DiskFullException(other.Path);
                default:
                    throw PosixError.Failed(Path, $"copied to '{other.Path}'");
            }
        }
        return done;
    }

    // ext4 and tmpfs share no blocks. Copying there is work of the processor, which copy_file_range does on one, page by
    // page: measured, it is slower than reading and writing large blocks on two.
    private bool CopiesByMoving => _copiesByMoving ??= LinuxLibc.FStatFs(Handle, out LinuxLibc.StatFs stat) == 0
        && stat.Type is LinuxLibc.ExtMagic or LinuxLibc.TmpfsMagic;

    public override bool TryClone(IBlockFile target)
    {
        if (target is not LinuxFile other) return false;
        other.RequireWritable();
        while (LinuxLibc.IoCtl(other.Handle, LinuxLibc.CloneFile, Handle) != 0)
        {
            switch (PosixError.Last)
            {
                case Errno.Interrupted:
                    continue;
                case Errno.NoSpace or Errno.QuotaExceeded:
                    throw new DiskFullException(other.Path);
                case Errno.InputOutput or Errno.BadHandle:
                    throw PosixError.Failed(Path, $"cloned to '{other.Path}'");
                default:
                    return false;
            }
        }
        return true;
    }

    protected override int SyncData() => LinuxLibc.FDataSync(Handle);

    protected override bool TryPunch(long offset, long count)
    {
        while (LinuxLibc.FAllocate(Handle, LinuxLibc.PunchHoleKeepingSize, offset, count) != 0)
        {
            switch (PosixError.Last)
            {
                case Errno.Interrupted:
                    continue;
                case Errno.NotSupported or Errno.NotImplemented:
                    return false;
                default:
                    throw PosixError.Failed(Path, $"given a hole at {offset}");
            }
        }
        return true;
    }

    protected override int SetLock(long offset, long count, LockKind? kind)
    {
        LinuxLibc.FLock request = Lock(offset, count, kind);
        return LinuxLibc.FCntl(Handle, LinuxLibc.SetOpenFileLock, ref request);
    }

    protected override bool? FindLock(long offset, long count, LockKind kind)
    {
        LinuxLibc.FLock request = Lock(offset, count, kind);
        return LinuxLibc.FCntl(Handle, LinuxLibc.GetOpenFileLock, ref request) == 0 ? request.Type != NoLock : null;
    }

    private static LinuxLibc.FLock Lock(long offset, long count, LockKind? kind) => new()
    {
        Type = kind switch { LockKind.Shared => ReadLock, LockKind.Exclusive => WriteLock, _ => NoLock },
        Start = offset,
        Count = count,
    };
}
