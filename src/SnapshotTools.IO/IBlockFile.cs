namespace SnapshotTools.IO;

/// <summary>
/// An open regular file with positioned I/O. Reads and writes may be issued from several threads at once.
/// A write is durable after a later <see cref="Flush"/> that returned; after a flush that failed nothing is assumed
/// written, and every later write or flush of this object fails.
/// </summary>
public interface IBlockFile : IDisposable
{
    /// <summary>The path it was opened by.</summary>
    string Path { get; }

    /// <summary>False when the file was opened for reading only.</summary>
    bool CanWrite { get; }

    /// <summary>Present length in bytes.</summary>
    long Length { get; }

    /// <summary>Equal for two handles of one file; see <see cref="FileStat.FileId"/>.</summary>
    string FileId { get; }

    /// <summary>Reads until the buffer is full or the file ends; returns the bytes read.</summary>
    int Read(long offset, Span<byte> buffer);

    /// <summary>Writes all of the data, extending the file when needed.</summary>
    /// <exception cref="DiskFullException">The disk or quota is full.</exception>
    void Write(long offset, ReadOnlySpan<byte> data);

    /// <summary>Makes a range read as zeroes, freeing its blocks where the file system can; within the present length.</summary>
    void PunchHole(long offset, long count);

    /// <summary>Cuts or extends (with zeroes) the file.</summary>
    void SetLength(long length);

    /// <summary>Makes all earlier writes, the length and the blocks of this file durable.</summary>
    void Flush();

    /// <summary>Writes much data that is not read again soon: past the system's cache where that can be, else as <see cref="Write"/> does, with the
    /// disk beginning at once. On Linux stretches of a MiB and more go past the cache where they begin at a multiple of 4 KiB, in the file and in memory
    /// (<see cref="BulkBuffer"/>).</summary>
    /// <exception cref="DiskFullException">The disk or quota is full.</exception>
    void WriteBulk(long offset, ReadOnlySpan<byte> data)
    {
        Write(offset, data);
        BeginFlush(offset, data.Length);
    }

    /// <summary>Lets the system begin to write a range to the disk, so that a later <see cref="Flush"/> has less to wait for.
    /// Nothing is durable by it.</summary>
    void BeginFlush(long offset, long count)
    {
    }

    /// <summary>Lets the system forget what it keeps of a range in its cache and has written to the disk already; the rest stays.
    /// Only a hint, and nothing is lost by it.</summary>
    void DropFromCache(long offset, long count)
    {
    }

    /// <summary>Copies a range to another file without passing it through this process (reflink or copy_file_range).
    /// Returns the bytes copied: less than <paramref name="count"/>, or 0, where the kernel does no more, or would not do it faster; the
    /// caller goes on by reading and writing.</summary>
    long CopyRange(long offset, IBlockFile target, long targetOffset, long count);

    /// <summary>Makes the target share all of this file's blocks (FICLONE); false where the file system cannot.</summary>
    bool TryClone(IBlockFile target);

    /// <summary>The next range at or after <paramref name="offset"/> that may hold data, or null when only a hole follows.
    /// A file system without holes answers with the rest of the file.</summary>
    (long Offset, long Count)? NextData(long offset);

    /// <summary>Takes a lock on a byte range that belongs to this open file (not to the process, and not lost when another
    /// handle of the file is closed). False when another open file holds a conflicting one. Replaces a lock of this file on the range.
    /// An exclusive lock needs a file that is open for writing.</summary>
    bool TryLock(long offset, long count, LockKind kind);

    /// <summary>Gives back a lock on a byte range.</summary>
    void Unlock(long offset, long count);

    /// <summary>Whether another open file holds a lock on the range that conflicts with <paramref name="kind"/>.</summary>
    bool IsLockedByOther(long offset, long count, LockKind kind);
}

/// <summary>The kind of a byte-range lock.</summary>
public enum LockKind
{
    /// <summary>Many may hold it at once.</summary>
    Shared,

    /// <summary>Only one may hold it.</summary>
    Exclusive,
}
