using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SnapshotTools.IO.Windows;

/// <summary>A file on Windows: sparse ranges and LockFileEx locks. Not yet tried on a Windows machine.</summary>
internal sealed class WindowsFile(string path, SafeFileHandle handle, bool canWrite, string fileId) : IBlockFile
{
    // Locks of Windows forbid reading and writing the locked bytes; they stand where no image reaches.
    private const long LockBase = 1L << 62;

    private readonly Dictionary<(long Offset, long Count), LockKind> _locks = [];
    private bool _sparse;
    private volatile string? _failedFlush;

    public string Path { get; } = path;
    public bool CanWrite { get; } = canWrite;
    public string FileId { get; } = fileId;
    public long Length => Try("examined", () => RandomAccess.GetLength(handle));

    public int Read(long offset, Span<byte> buffer)
    {
        int done = 0;
        try
        {
            while (done < buffer.Length)
            {
                int n = RandomAccess.Read(handle, buffer[done..], offset + done);
                if (n == 0) break;
                done += n;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw WindowsError.Failed(Path, $"read at {offset + done}", e);
        }
        return done;
    }

    public void Write(long offset, ReadOnlySpan<byte> data)
    {
        RequireHealthy();
        try
        {
            RandomAccess.Write(handle, data, offset);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw WindowsError.Failed(Path, $"written at {offset}", e);
        }
    }

    public unsafe void PunchHole(long offset, long count)
    {
        RequireHealthy();
        count = Math.Min(count, Length - offset);
        if (count <= 0) return;
        // NTFS frees the range of a sparse file; elsewhere FSCTL_SET_ZERO_DATA writes the zeroes itself.
        if (!_sparse) _sparse = Kernel32.DeviceIoControl(handle, Kernel32.SetSparse, null, 0, null, 0, out _, 0) != 0;
        Kernel32.Range range = new() { Offset = offset, CountOrEnd = offset + count };
        if (Kernel32.DeviceIoControl(handle, Kernel32.SetZeroData, &range, sizeof(Kernel32.Range), null, 0, out _, 0) == 0)
            throw WindowsError.Failed(Path, $"given a hole at {offset}");
    }

    public void SetLength(long length)
    {
        RequireHealthy();
        Try($"set to {length} bytes", () => { RandomAccess.SetLength(handle, length); return 0; });
    }

    public void Flush()
    {
        RequireHealthy();
        try
        {
            RandomAccess.FlushToDisk(handle);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            IOException failure = WindowsError.Failed(Path, "made durable", e);
            _failedFlush = failure.Message;
            throw failure;
        }
    }

    // Block cloning of ReFS is left to a later day: the caller goes on by reading and writing.
    public long CopyRange(long offset, IBlockFile target, long targetOffset, long count) => 0;

    public bool TryClone(IBlockFile target) => false;

    public unsafe (long Offset, long Count)? NextData(long offset)
    {
        long length = Length;
        if (offset >= length) return null;
        Kernel32.Range asked = new() { Offset = offset, CountOrEnd = length - offset }, found = default;
        bool all = Kernel32.DeviceIoControl(handle, Kernel32.QueryAllocatedRanges, &asked, sizeof(Kernel32.Range), &found, sizeof(Kernel32.Range), out int returned, 0) != 0;
        if (!all && Marshal.GetLastPInvokeError() != Kernel32.ErrorMoreData) return (offset, length - offset);
        if (returned == 0) return null;
        long start = Math.Max(found.Offset, offset);
        return (start, Math.Min(found.Offset + found.CountOrEnd, length) - start);
    }

    public bool TryLock(long offset, long count, LockKind kind)
    {
        lock (_locks)
        {
            // A handle's own lock conflicts here, unlike on Unix: changing the kind means giving the old one back first.
            LockKind? before = Release(offset, count);
            if (Acquire(offset, count, kind)) return true;
            if (before is { } old) Acquire(offset, count, old);
            return false;
        }
    }

    public void Unlock(long offset, long count)
    {
        lock (_locks) Release(offset, count);
    }

    public bool IsLockedByOther(long offset, long count, LockKind kind)
    {
        lock (_locks)
        {
            LockKind? before = Release(offset, count);
            bool free = Acquire(offset, count, kind);
            if (free) Release(offset, count);
            if (before is { } old) Acquire(offset, count, old);
            return !free;
        }
    }

    public void Dispose() => handle.Dispose();

    private bool Acquire(long offset, long count, LockKind kind)
    {
        Kernel32.Overlapped at = At(offset);
        uint flags = Kernel32.LockFailImmediately | (kind == LockKind.Exclusive ? Kernel32.LockExclusive : 0);
        if (Kernel32.LockFileEx(handle, flags, 0, (uint)count, (uint)(count >> 32), ref at) != 0)
        {
            _locks[(offset, count)] = kind;
            return true;
        }
        if (Marshal.GetLastPInvokeError() is Kernel32.ErrorLockViolation or Kernel32.ErrorIoPending) return false;
        throw WindowsError.Failed(Path, "locked");
    }

    private LockKind? Release(long offset, long count)
    {
        if (!_locks.Remove((offset, count), out LockKind kind)) return null;
        Kernel32.Overlapped at = At(offset);
        if (Kernel32.UnlockFileEx(handle, 0, (uint)count, (uint)(count >> 32), ref at) == 0) throw WindowsError.Failed(Path, "unlocked");
        return kind;
    }

    private static Kernel32.Overlapped At(long offset) => new() { Offset = LockBase + offset };

    private T Try<T>(string cannotBe, Func<T> call)
    {
        try
        {
            return call();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw WindowsError.Failed(Path, cannotBe, e);
        }
    }

    private void RequireHealthy()
    {
        if (_failedFlush is { } cause)
            throw new IOException($"'{Path}' takes no more writes, because what was written before may be lost: {cause} Open it anew.");
    }
}
