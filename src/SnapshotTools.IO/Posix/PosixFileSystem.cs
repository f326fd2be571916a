using System.Text;
using Microsoft.Win32.SafeHandles;

namespace SnapshotTools.IO.Posix;

/// <summary>Names, modes and links as Linux and macOS share them.</summary>
internal abstract class PosixFileSystem : IFileSystem
{
    private const uint OwnerOnlyFile = 0b110_000_000;
    private const uint OwnerReadsFile = 0b100_000_000;
    private const uint OwnerOnlyDirectory = 0b111_000_000;

    private readonly UnnamedFiles _unnamed = new();

    public IBlockFile Open(string path, FileOpenMode mode)
    {
        RequirePath(path);
        bool write = mode is FileOpenMode.ReadWrite or FileOpenMode.ReadWriteFollowingLinks;
        bool follow = mode is FileOpenMode.ReadFollowingLinks or FileOpenMode.ReadWriteFollowingLinks;

        // Asked before it is opened, because opening a device can have effects of its own, and again
        // of the open file, because another may have taken its place in between.
        RequireRegular(path, (StatPath(path, follow) ?? throw NotFound(path)).Kind);
        SafeFileHandle handle = OpenHandle(path, write, follow);
        return Adopt(path, handle, write);
    }

    public IBlockFile Create(string path)
    {
        RequirePath(path);
        SafeFileHandle handle = CreateHandle(path, OwnerOnlyFile);
        try
        {
            if (Libc.FChMod(handle, OwnerOnlyFile) != 0) throw PosixError.Failed(path, "given its mode");
        }
        catch
        {
            handle.Dispose();
            throw;
        }
        return Adopt(path, handle, canWrite: true);
    }

    public FileStat? Stat(string path)
    {
        RequirePath(path);
        return StatPath(path, follow: false);
    }

    public IEnumerable<FileStat> List(string directory)
    {
        RequirePath(directory);
        string[] names;
        try
        {
            names = Directory.GetFileSystemEntries(directory);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException($"'{directory}' cannot be listed: this user has no permission.", e);
        }
        return names.Select(n => StatPath(n, follow: false)).OfType<FileStat>();
    }

    public void CreateDirectory(string path)
    {
        RequirePath(path);
        if (StatPath(path, follow: true) is { } there)
        {
            if (there.Kind != FileKind.Directory) throw new IOException($"'{path}' cannot be created: something else of that name exists already.");
            return;
        }
        if (Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path))) is { Length: > 0 } parent) CreateDirectory(parent);
        if (Libc.MkDir(path, OwnerOnlyDirectory) != 0)
        {
            if (PosixError.Last == Errno.Exists && StatPath(path, follow: true)?.Kind == FileKind.Directory) return;
            throw PosixError.Failed(path, "created");
        }
        // A umask can only take bits of 0700 away; a directory that its owner cannot enter is of no use to others either.
        if (Libc.ChMod(path, OwnerOnlyDirectory) != 0) throw PosixError.Failed(path, "given its mode");
    }

    public void Delete(string path)
    {
        RequirePath(path);
        Unname(path, () => Libc.Unlink(path), path, "deleted");
    }

    public void DeleteDirectory(string path)
    {
        RequirePath(path);
        if (Libc.RmDir(path) != 0) throw PosixError.Failed(path, "deleted");
    }

    public void Rename(string path, string newPath)
    {
        RequirePath(path);
        RequirePath(newPath);
        Unname(newPath, () => Libc.Rename(path, newPath), path, $"renamed to '{newPath}'");
    }

    public void ReplaceLink(string path, string target)
    {
        RequirePath(path);
        RequirePath(target);
        if (StatPath(path, follow: false) is { Kind: not FileKind.Link } there)
            throw new IOException($"'{path}' cannot be made a link: a {(there.Kind == FileKind.Directory ? "directory" : "file")} of that name exists already.");
        for (int attempt = 1; ; attempt++)
        {
            string temporary = TemporaryLink.NameFor(path);
            if (Libc.SymLink(target, temporary) != 0) throw PosixError.Failed(path, $"made a link to '{target}'");
            if (Libc.Rename(temporary, path) == 0) return;
            IOException failure = PosixError.Failed(path, $"made a link to '{target}'");
            // Somebody who settles the directory may have taken it for one that was left behind.
            if (Libc.Unlink(temporary) == 0 || attempt == 5) throw failure;
        }
    }

    public unsafe string? ReadLink(string path)
    {
        RequirePath(path);
        byte[] buffer = new byte[4096];
        fixed (byte* start = buffer)
        {
            nint n = Libc.ReadLink(path, start, (nuint)buffer.Length);
            if (n >= 0) return Encoding.UTF8.GetString(buffer, 0, (int)n);
        }
        return PosixError.Last is Errno.Invalid or Errno.NotFound ? null : throw PosixError.Failed(path, "read as a link");
    }

    public void SetFrozen(string path, bool frozen)
    {
        RequirePath(path);
        RequireRegular(path, (StatPath(path, follow: false) ?? throw NotFound(path)).Kind);
        using SafeFileHandle handle = OpenHandle(path, write: false, follow: false);
        if (Libc.FChMod(handle, frozen ? OwnerReadsFile : OwnerOnlyFile) != 0) throw PosixError.Failed(path, "given its mode");
    }

    public void SyncDirectory(string path)
    {
        RequirePath(path);
        using SafeFileHandle handle = OpenDirectory(path);
        SyncDirectory(handle, path);
    }

    public long FreeBytes(string path)
    {
        RequirePath(path);
        try
        {
            var drive = new DriveInfo(path);
            long free = drive.AvailableFreeSpace;
            if (_unnamed.Bytes <= free / 100) return free;
            _unnamed.Wait();
            return drive.AvailableFreeSpace;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"The free space at '{path}' cannot be told: {e.Message}", e);
        }
    }

    /// <summary>Makes an open directory's entries durable.</summary>
    protected void SyncDirectory(SafeFileHandle directory, string path)
    {
        while (SyncDirectory(directory) != 0)
            if (PosixError.Last != Errno.Interrupted) throw PosixError.Failed(path, "made durable");
    }

    /// <summary>Opens what exists, close-on-exec and without waiting for a FIFO's other end.</summary>
    protected abstract SafeFileHandle OpenHandle(string path, bool write, bool follow);

    /// <summary>Creates what must not exist.</summary>
    protected abstract SafeFileHandle CreateHandle(string path, uint mode);

    /// <summary>Opens a directory for synchronizing it.</summary>
    protected abstract SafeFileHandle OpenDirectory(string path);

    /// <summary>Makes a directory's entries durable; 0, or -1 with errno.</summary>
    protected abstract int SyncDirectory(SafeFileHandle directory);

    /// <summary>What is at a path, or null.</summary>
    protected abstract FileStat? StatPath(string path, bool follow);

    /// <summary>What an open file is.</summary>
    protected abstract FileStat StatHandle(string path, SafeFileHandle handle);

    /// <summary>The file object of an open handle.</summary>
    protected abstract IBlockFile Wrap(string path, SafeFileHandle handle, bool canWrite, string fileId);

    /// <summary>Takes a name away from what has it, if anything does. The blocks of a file are freed behind the caller's back.</summary>
    private void Unname(string name, Func<int> call, string path, string done)
    {
        var (held, bytes) = Hold(name);
        try
        {
            if (call() != 0) throw PosixError.Failed(path, done);
        }
        finally
        {
            if (held is not null) _unnamed.LetGo(held, bytes);
        }
    }

    private (SafeFileHandle? File, long Bytes) Hold(string path)
    {
        if (StatPath(path, follow: false) is not { Kind: FileKind.Regular, AllocatedBytes: > 0 and long bytes }) return (null, 0);
        try
        {
            return (OpenHandle(path, write: false, follow: false), bytes);
        }
        catch (IOException)
        {
            return (null, 0);   // only the wait is longer
        }
    }

    private IBlockFile Adopt(string path, SafeFileHandle handle, bool canWrite)
    {
        try
        {
            FileStat stat = StatHandle(path, handle);
            RequireRegular(path, stat.Kind);
            return Wrap(path, handle, canWrite, stat.FileId);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    private static void RequireRegular(string path, FileKind kind)
    {
        if (kind != FileKind.Regular) throw new NotARegularFileException(path, kind);
    }

    private static FileNotFoundException NotFound(string path) => new($"'{path}' cannot be opened: there is no such file or directory.", path);

    // A NUL would silently cut the path for the kernel.
    protected static void RequirePath(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (path.Contains('\0', StringComparison.Ordinal)) throw new IOException($"'{path.Replace("\0", "\\0", StringComparison.Ordinal)}' is not a path: it contains a NUL character.");
    }
}
