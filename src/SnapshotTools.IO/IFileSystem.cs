namespace SnapshotTools.IO;

/// <summary>
/// Every effect that SnapshotTools has on files goes through this interface and <see cref="IBlockFile"/>: what the
/// operating systems do differently is behind it, and a test that wants to record effects or to inject faults puts
/// itself in between. Failures are <see cref="IOException"/>s (<see cref="DiskFullException"/> for a full disk) that
/// name the path.
/// </summary>
public interface IFileSystem
{
    /// <summary>Opens a regular file. A symbolic link as the last part of <paramref name="path"/> is followed only when
    /// <paramref name="mode"/> says so; a FIFO, device or directory is refused with <see cref="NotARegularFileException"/>
    /// without blocking.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    IBlockFile Open(string path, FileOpenMode mode);

    /// <summary>Creates a file that must not exist, readable and writable by its owner only (0600) from its first
    /// instant, whatever the umask.</summary>
    IBlockFile Create(string path);

    /// <summary>What is at <paramref name="path"/> itself (links are not followed), or null when nothing is.</summary>
    FileStat? Stat(string path);

    /// <summary>The entries of a directory, in no order.</summary>
    IEnumerable<FileStat> List(string directory);

    /// <summary>Creates a directory for its owner only (0700), with missing parents; an existing one is left as it is.</summary>
    void CreateDirectory(string path);

    /// <summary>Deletes a file or link. It is durable after <see cref="SyncDirectory"/>. The blocks of a large file may be freed a moment
    /// later, at the latest when the process ends.</summary>
    void Delete(string path);

    /// <summary>Deletes an empty directory.</summary>
    void DeleteDirectory(string path);

    /// <summary>Renames a file or link, replacing what is at the new name in one step. It is durable after <see cref="SyncDirectory"/>.</summary>
    void Rename(string path, string newPath);

    /// <summary>Makes <paramref name="path"/> a link with the given target, replacing an earlier link in one step.</summary>
    void ReplaceLink(string path, string target);

    /// <summary>The target of a link, or null when there is no link at <paramref name="path"/>.</summary>
    string? ReadLink(string path);

    /// <summary>Lets only the owner read (frozen) or read and write (not frozen) a file. A guard against accidents, not against root.</summary>
    void SetFrozen(string path, bool frozen);

    /// <summary>Makes the names in a directory durable: files created, renamed and deleted there before the call.</summary>
    void SyncDirectory(string path);

    /// <summary>Makes several files and the names in a directory durable at once, as <see cref="IBlockFile.Flush"/> of each and
    /// <see cref="SyncDirectory"/> would, where the system can do that and it takes less time. False where not: then nothing was done.</summary>
    /// <exception cref="IOException">Something could not be written; nothing of these files is assumed written.</exception>
    bool TryFlushTogether(IReadOnlyList<IBlockFile> files, string directory) => false;

    /// <summary>Free bytes for this user on the file system that holds <paramref name="path"/>, those of deleted files among them; one percent of it may still be on its way.</summary>
    long FreeBytes(string path);
}

/// <summary>How a file is opened.</summary>
public enum FileOpenMode
{
    /// <summary>Read; the last part of the path must not be a link.</summary>
    Read,

    /// <summary>Read and write; the last part of the path must not be a link.</summary>
    ReadWrite,

    /// <summary>Read, through links. Only for paths that the user named.</summary>
    ReadFollowingLinks,

    /// <summary>Read and write, through links. Only for paths that the user named.</summary>
    ReadWriteFollowingLinks,
}

/// <summary>What a directory entry is.</summary>
public enum FileKind
{
    /// <summary>A regular file.</summary>
    Regular,

    /// <summary>A directory.</summary>
    Directory,

    /// <summary>A symbolic link.</summary>
    Link,

    /// <summary>A device, FIFO or socket.</summary>
    Other,
}

/// <summary>What is known of a file without opening it.</summary>
/// <param name="Path">The path that was asked for.</param>
/// <param name="Kind">What it is.</param>
/// <param name="Length">Bytes of content.</param>
/// <param name="AllocatedBytes">Bytes that the file occupies on disk.</param>
/// <param name="ModifiedAt">When the content last changed.</param>
/// <param name="FileId">Equal for two paths of one file (device and inode), different for two files.</param>
public sealed record FileStat(string Path, FileKind Kind, long Length, long AllocatedBytes, DateTimeOffset ModifiedAt, string FileId);
