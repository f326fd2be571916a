using SnapshotTools.IO;

namespace SnapshotTools.Qemu.Tests.Live;

/// <summary>A file on a disk that becomes full.</summary>
internal sealed class FullDisk(IBlockFile inner, long room) : IBlockFile
{
    public string Path => inner.Path;
    public bool CanWrite => inner.CanWrite;
    public long Length => inner.Length;
    public string FileId => inner.FileId;
    public int Read(long offset, Span<byte> buffer) => inner.Read(offset, buffer);
    public void Write(long offset, ReadOnlySpan<byte> data)
    {
        if (offset + data.Length > room) throw new DiskFullException(Path);
        inner.Write(offset, data);
    }
    public void PunchHole(long offset, long count) => inner.PunchHole(offset, count);
    public void SetLength(long length) => inner.SetLength(length);
    public void Flush() => inner.Flush();
    public long CopyRange(long offset, IBlockFile target, long targetOffset, long count) => inner.CopyRange(offset, target, targetOffset, count);
    public bool TryClone(IBlockFile target) => inner.TryClone(target);
    public (long Offset, long Count)? NextData(long offset) => inner.NextData(offset);
    public bool TryLock(long offset, long count, LockKind kind) => inner.TryLock(offset, count, kind);
    public void Unlock(long offset, long count) => inner.Unlock(offset, count);
    public bool IsLockedByOther(long offset, long count, LockKind kind) => inner.IsLockedByOther(offset, count, kind);
    public void Dispose() => inner.Dispose();
}
