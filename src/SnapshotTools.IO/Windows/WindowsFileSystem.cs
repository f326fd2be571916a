using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SnapshotTools.IO.Windows;

/// <summary>
/// Files on Windows: new files have the access list of their folder, so a store is as private as the user's profile it is
/// in. Names become durable with the file system's journal; there is no call for a directory. Not yet tried on a Windows machine.
/// </summary>
internal sealed class WindowsFileSystem : IFileSystem
{
    public IBlockFile Open(string path, FileOpenMode mode)
    {
        bool write = mode is FileOpenMode.ReadWrite or FileOpenMode.ReadWriteFollowingLinks;
        bool follow = mode is FileOpenMode.ReadFollowingLinks or FileOpenMode.ReadWriteFollowingLinks;
        uint access = Kernel32.GenericRead | (write ? Kernel32.GenericWrite : 0);
        SafeFileHandle handle = OpenHandle(path, access, Kernel32.OpenExisting, follow, "opened");
        return Adopt(path, handle, write);
    }

    public IBlockFile Create(string path) => Adopt(
        path,
        OpenHandle(path, Kernel32.GenericRead | Kernel32.GenericWrite, Kernel32.CreateNew, follow: false, "created"),
        canWrite: true);

    public FileStat? Stat(string path)
    {
        SafeFileHandle handle = Kernel32.CreateFile(path, 0, Kernel32.ShareAll, 0, Kernel32.OpenExisting, Kernel32.BackupSemantics | Kernel32.OpenReparsePoint, 0);
        using (handle)
        {
            if (!handle.IsInvalid) return ToStat(path, handle);
            return Marshal.GetLastPInvokeError() is Kernel32.ErrorFileNotFound or Kernel32.ErrorPathNotFound ? null : throw WindowsError.Failed(path, "examined");
        }
    }

    public IEnumerable<FileStat> List(string directory) =>
        Try(directory, "listed", () => Directory.GetFileSystemEntries(directory)).Select(Stat).OfType<FileStat>();

    public void CreateDirectory(string path) => Try(path, "created", () => Directory.CreateDirectory(path));

    public void Delete(string path) => Try(path, "deleted", () =>
    {
        if (!Path.Exists(path) && ReadLink(path) is null) throw new FileNotFoundException(null, path);
        File.Delete(path);
        return 0;
    });

    public void DeleteDirectory(string path) => Try(path, "deleted", () => { Directory.Delete(path); return 0; });

    public void Rename(string path, string newPath)
    {
        if (Kernel32.MoveFileEx(path, newPath, Kernel32.MoveReplaceExisting | Kernel32.MoveWriteThrough) == 0)
            throw WindowsError.Failed(path, $"renamed to '{newPath}'");
    }

    public void ReplaceLink(string path, string target)
    {
        if (Stat(path) is { Kind: not FileKind.Link })
            throw new IOException($"'{path}' cannot be made a link: a file or directory of that name exists already.");
        string temporary = TemporaryLink.NameFor(path);
        Try(path, $"made a link to '{target}' (Windows allows it in developer mode or with the right to create links)", () => File.CreateSymbolicLink(temporary, target));
        Rename(temporary, path);
    }

    public string? ReadLink(string path) => Try(path, "read as a link", () => new FileInfo(path).LinkTarget);

    public void SetFrozen(string path, bool frozen) => Try(path, "given its mode", () =>
    {
        FileAttributes now = File.GetAttributes(path);
        File.SetAttributes(path, frozen ? now | FileAttributes.ReadOnly : now & ~FileAttributes.ReadOnly);
        return 0;
    });

    public void SyncDirectory(string path)
    {
    }

    public long FreeBytes(string path)
    {
        string directory = Directory.Exists(path) ? path : Path.GetDirectoryName(Path.GetFullPath(path)) ?? path;
        return Kernel32.GetDiskFreeSpaceEx(directory, out ulong free, 0, 0) != 0 ? (long)Math.Min(free, long.MaxValue) : throw WindowsError.Failed(path, "asked for its free space");
    }

    private static SafeFileHandle OpenHandle(string path, uint access, uint disposition, bool follow, string cannotBe)
    {
        uint flags = follow ? 0 : Kernel32.OpenReparsePoint;
        SafeFileHandle handle = Kernel32.CreateFile(path, access, Kernel32.ShareAll, 0, disposition, flags, 0);
        if (!handle.IsInvalid) return handle;
        IOException failure = WindowsError.Failed(path, cannotBe);
        handle.Dispose();
        if (Directory.Exists(path)) throw new NotARegularFileException(path, FileKind.Directory);
        throw failure;
    }

    private static WindowsFile Adopt(string path, SafeFileHandle handle, bool canWrite)
    {
        try
        {
            FileStat stat = ToStat(path, handle);
            if (stat.Kind != FileKind.Regular) throw new NotARegularFileException(path, stat.Kind);
            return new WindowsFile(path, handle, canWrite, stat.FileId);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    private static FileStat ToStat(string path, SafeFileHandle handle)
    {
        if (Kernel32.GetFileInformationByHandle(handle, out Kernel32.FileInformation info) == 0) throw WindowsError.Failed(path, "examined");
        FileKind kind = (info.Attributes & (FileAttributes.ReparsePoint | FileAttributes.Directory | FileAttributes.Device)) switch
        {
            0 => FileKind.Regular,
            FileAttributes.Directory => FileKind.Directory,
            FileAttributes.Device => FileKind.Other,
            _ => FileKind.Link,
        };
        long length = ((long)info.SizeHigh << 32) | info.SizeLow;
        uint allocatedLow = Kernel32.GetCompressedFileSize(path, out uint allocatedHigh);
        bool known = allocatedLow != uint.MaxValue || Marshal.GetLastPInvokeError() == 0;
        return new FileStat(
            path,
            kind,
            length,
            known ? ((long)allocatedHigh << 32) | allocatedLow : length,
            DateTimeOffset.FromFileTime(((long)info.ModifiedHigh << 32) | info.ModifiedLow),
            $"{info.VolumeSerial:x8}:{info.IndexHigh:x8}{info.IndexLow:x8}");
    }

    private static T Try<T>(string path, string cannotBe, Func<T> call)
    {
        try
        {
            return call();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw WindowsError.Failed(path, cannotBe, e);
        }
    }
}
