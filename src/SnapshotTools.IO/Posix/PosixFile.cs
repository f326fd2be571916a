using Microsoft.Win32.SafeHandles;

namespace SnapshotTools.IO.Posix;

/// <summary>Positioned I/O over a file descriptor; what Linux and macOS do differently is left to the subclasses.</summary>
internal abstract class PosixFile(string path, SafeFileHandle handle, bool canWrite, string fileId) : IBlockFile
{
    // Linux transfers at most 0x7ffff000 bytes in one call; macOS refuses more than 2^31 - 1.
    private const int MaxTransfer = 1 << 30;
    private const int ZeroChunk = 1 << 20;
    private const long ToTheEnd = 0;   // fcntl(2): l_len 0 reaches to the end of all offsets

    private volatile string? _failedFlush;
    private bool _hasLocked;

    public string Path { get; } = path;
    public bool CanWrite { get; } = canWrite;
    public string FileId { get; } = fileId;
    public abstract long Length { get; }

    protected internal SafeFileHandle Handle { get; } = handle;

    public unsafe int Read(long offset, Span<byte> buffer)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        int done = 0;
        fixed (byte* start = buffer)
        {
            while (done < buffer.Length)
            {
                nint n = Libc.PRead(Handle, start + done, (nuint)Math.Min(buffer.Length - done, MaxTransfer), offset + done);
                if (n < 0)
                {
                    if (PosixError.Last == Errno.Interrupted) continue;
                    throw PosixError.Failed(Path, $"read at {offset + done}");
                }
                if (n == 0) break;
                done += (int)n;
            }
        }
        return done;
    }

    public unsafe void Write(long offset, ReadOnlySpan<byte> data)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        RequireWritable();
        int done = 0;
        fixed (byte* start = data)
        {
            while (done < data.Length)
            {
                nint n = Libc.PWrite(Handle, start + done, (nuint)Math.Min(data.Length - done, MaxTransfer), offset + done);
                if (n >= 0)
                {
                    done += (int)n;
                    continue;
                }
                if (PosixError.Last != Errno.Interrupted) throw PosixError.Failed(Path, $"written at {offset + done}");
            }
        }
    }

    public void PunchHole(long offset, long count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        RequireWritable();
        count = Math.Min(count, Length - offset);
        if (count <= 0 || TryPunch(offset, count)) return;
        byte[] zeroes = new byte[Math.Min(count, ZeroChunk)];
        for (long done = 0; done < count; done += zeroes.Length)
            Write(offset + done, zeroes.AsSpan(0, (int)Math.Min(zeroes.Length, count - done)));
    }

    public void SetLength(long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        RequireWritable();
        while (Libc.FTruncate(Handle, length) != 0)
            if (PosixError.Last != Errno.Interrupted) throw PosixError.Failed(Path, $"set to {length} bytes");
    }

    public void Flush() => MakeDurable(static file => file.SyncData());

    public abstract long CopyRange(long offset, IBlockFile target, long targetOffset, long count);

    public abstract bool TryClone(IBlockFile target);

    public (long Offset, long Count)? NextData(long offset)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        long length = Length;
        if (offset >= length) return null;
        long data = Libc.LSeek(Handle, offset, SeekData);
        if (data < 0)
        {
            return PosixError.Last switch
            {
                Errno.NoDeviceOrAddress => null,
                Errno.Invalid or Errno.NotSupported => (offset, length - offset),
                _ => throw PosixError.Failed(Path, "searched for data"),
            };
        }
        long hole = Libc.LSeek(Handle, data, SeekHole);
        if (hole < 0) hole = Math.Max(Length, data);
        return hole == data ? null : (data, hole - data);
    }

    public bool TryLock(long offset, long count, LockKind kind)
    {
        while (SetLock(offset, count, kind) != 0)
        {
            Errno errno = PosixError.Last;
            if (errno is Errno.Again or Errno.AccessDenied) return false;
            if (errno != Errno.Interrupted) throw PosixError.Failed(Path, "locked");
        }
        _hasLocked = true;
        return true;
    }

    public void Unlock(long offset, long count)
    {
        while (SetLock(offset, count, null) != 0)
            if (PosixError.Last != Errno.Interrupted) throw PosixError.Failed(Path, "unlocked");
    }

    public bool IsLockedByOther(long offset, long count, LockKind kind) =>
        FindLock(offset, count, kind) ?? throw PosixError.Failed(Path, "asked for its locks");

    public virtual void Dispose()
    {
        // Given back by name: a child that is being started holds the open file for a moment too, and with it the locks.
        if (_hasLocked && !Handle.IsClosed) _ = SetLock(0, ToTheEnd, null);
        Handle.Dispose();
    }

    /// <summary>The platform's whence values for lseek.</summary>
    protected abstract int SeekData { get; }

    /// <inheritdoc cref="SeekData"/>
    protected abstract int SeekHole { get; }

    /// <summary>Makes data and length durable; 0, or -1 with errno.</summary>
    protected abstract int SyncData();

    /// <summary>Frees a range within the file; false where the file system cannot.</summary>
    protected abstract bool TryPunch(long offset, long count);

    /// <summary>Sets (or with null gives back) a lock that belongs to the open file description; 0, or -1 with errno.</summary>
    protected abstract int SetLock(long offset, long count, LockKind? kind);

    /// <summary>Whether a conflicting lock of another open file description exists; null on failure, with errno.</summary>
    protected abstract bool? FindLock(long offset, long count, LockKind kind);

    /// <summary>Waits for what was written, by a call that gives 0, or -1 with errno.</summary>
    protected void MakeDurable(Func<PosixFile, int> sync)
    {
        RequireHealthy();
        while (sync(this) != 0)
        {
            if (PosixError.Last == Errno.Interrupted) continue;
            // The kernel reports a lost write once and then forgets it: a second try would "succeed" over lost data.
            IOException failure = PosixError.Failed(Path, "made durable");
            _failedFlush = failure.Message;
            throw failure;
        }
    }

    /// <summary>Refuses a change of a file that is open for reading only, or whose last flush failed.</summary>
    internal void RequireWritable()
    {
        if (!CanWrite) throw new IOException($"'{Path}' cannot be changed: it is open for reading only.");
        RequireHealthy();
    }

    private void RequireHealthy()
    {
        if (_failedFlush is { } cause)
            throw new IOException($"'{Path}' takes no more writes, because what was written before may be lost: {cause} Open it anew.");
    }
}
