using SnapshotTools.IO;

namespace SnapshotTools.Testing.Files;

/// <summary>An open file of a <see cref="MemoryFileSystem"/>.</summary>
internal sealed class MemoryFile(MemoryFileSystem files, MemoryNode node, string path, bool canWrite) : IBlockFile
{
    private bool _disposed;

    public string Path { get; } = path;
    public bool CanWrite { get; } = canWrite;
    public string FileId => MemoryFileSystem.ToStat(Path, node).FileId;

    public long Length
    {
        get
        {
            lock (files.Gate) return Content.Length;
        }
    }

    private SparseContent Content
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return node.Content;
        }
    }

    public int Read(long offset, Span<byte> buffer)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        lock (files.Gate) return Content.Read(offset, buffer);
    }

    public void Write(long offset, ReadOnlySpan<byte> data)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        lock (files.Gate)
        {
            RequireWritable("written");
            files.RequireRoom(Path, NewPages(offset, data.Length) * SparseContent.PageSize);
            Content.Write(offset, data);
            node.ModifiedAt = DateTimeOffset.UtcNow;
        }
    }

    public void PunchHole(long offset, long count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        lock (files.Gate)
        {
            RequireWritable("given a hole");
            Content.Zero(offset, count);
        }
    }

    public void SetLength(long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        lock (files.Gate)
        {
            RequireWritable("set to a length");
            Content.SetLength(length);
        }
    }

    public void Flush()
    {
        lock (files.Gate) _ = Content;
    }

    public long CopyRange(long offset, IBlockFile target, long targetOffset, long count)
    {
        if (target is not MemoryFile other) return 0;
        byte[] buffer = new byte[1 << 16];
        long done = 0;
        while (done < count)
        {
            int n = Read(offset + done, buffer.AsSpan(0, (int)Math.Min(buffer.Length, count - done)));
            if (n == 0) break;
            other.Write(targetOffset + done, buffer.AsSpan(0, n));
            done += n;
        }
        return done;
    }

    public bool TryClone(IBlockFile target)
    {
        if (target is not MemoryFile other) return false;
        lock (files.Gate) other.Replace(Content.Copy());
        return true;
    }

    public (long Offset, long Count)? NextData(long offset)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        lock (files.Gate) return offset >= Content.Length ? null : Content.NextData(offset);
    }

    public bool TryLock(long offset, long count, LockKind kind)
    {
        lock (files.Gate)
        {
            if (kind == LockKind.Exclusive) RequireWritable("locked");
            if (Conflict(offset, count, kind)) return false;
            Release(offset, count);
            node.Locks.Add((this, offset, count, kind));
            return true;
        }
    }

    public void Unlock(long offset, long count)
    {
        lock (files.Gate) Release(offset, count);
    }

    public bool IsLockedByOther(long offset, long count, LockKind kind)
    {
        lock (files.Gate) return Conflict(offset, count, kind);
    }

    public void Dispose()
    {
        lock (files.Gate)
        {
            _disposed = true;
            node.Locks.RemoveAll(l => l.Owner == this);
        }
    }

    private void Replace(SparseContent content)
    {
        RequireWritable("written");
        node.Content = content;
    }

    private void RequireWritable(string cannotBe)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (!CanWrite) throw new IOException($"'{Path}' cannot be {cannotBe}: it is not open in the way that this needs.");
    }

    private long NewPages(long offset, long count) =>
        count == 0 ? 0 : ((offset + count - 1) / SparseContent.PageSize) - (offset / SparseContent.PageSize) + 1 - Content.PagesIn(offset, count).LongCount();

    private bool Conflict(long offset, long count, LockKind kind) => node.Locks.Any(l =>
        l.Owner != this && l.Offset < offset + count && offset < l.Offset + l.Count && (kind == LockKind.Exclusive || l.Kind == LockKind.Exclusive));

    // What is left of a lock on both sides of the range stays.
    private void Release(long offset, long count)
    {
        long end = offset + count;
        foreach (var held in node.Locks.Where(l => l.Owner == this && l.Offset < end && offset < l.Offset + l.Count).ToList())
        {
            node.Locks.Remove(held);
            if (held.Offset < offset) node.Locks.Add((this, held.Offset, offset - held.Offset, held.Kind));
            if (held.Offset + held.Count > end) node.Locks.Add((this, end, held.Offset + held.Count - end, held.Kind));
        }
    }
}
