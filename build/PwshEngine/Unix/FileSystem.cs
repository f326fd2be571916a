using System.Runtime.InteropServices;

namespace PwshEngine.Unix;

/// <summary>Files, links and paths as Unix has them.</summary>
public static partial class FileSystem
{
    /// <summary>A path that starts at the root.</summary>
    [Replaces("LocationGlobber.IsSingleFileSystemAbsolutePath")]
    public static bool IsRooted(string path) => path.StartsWith('/');

    /// <summary>One drive, the root, in place of every mount point.</summary>
    [ReplacesCall("DriveInfo.GetDrives", "FileSystemProvider")]
    public static DriveInfo[] Drives() => [new DriveInfo("/")];

    /// <summary>The provider looks for a second colon, which on NTFS names a stream; here it belongs to the file's name.</summary>
    [ReplacesCall("String.IndexOf", "FileSystemProvider")]
    public static int IndexOf(string text, char value, int start) => value == ':' ? -1 : text.IndexOf(value, start);

    /// <summary>Whether a file may be run as a program.</summary>
    [Replaces("Platform.NonWindowsIsExecutable")]
    public static bool IsExecutable(string path) =>
        !OperatingSystem.IsWindows() && File.Exists(path) && (File.GetUnixFileMode(path) & (UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute)) != 0;

    /// <summary>As <see cref="IsExecutable(string)"/>; what it is not, PowerShell would open with a desktop application.</summary>
    [Replaces("NativeCommandProcessor.IsExecutable")]
    public static bool IsExecutable(object self, string path) => IsExecutable(path);

    /// <summary>Whether an item is a symbolic link.</summary>
    [Replaces("InternalSymbolicLinkLinkCodeMethods.IsReparsePointLikeSymlink")]
    public static bool IsSymbolicLink(FileSystemInfo item) => item.LinkTarget is not null;

    /// <summary>What the property LinkType says.</summary>
    [Replaces("InternalSymbolicLinkLinkCodeMethods.InternalGetLinkType")]
    public static string? LinkType(FileSystemInfo item) => item.LinkTarget is not null ? "SymbolicLink" : IsHardLink(item) ? "HardLink" : null;

    /// <summary>Whether a file has more names than one.</summary>
    [Replaces("InternalSymbolicLinkLinkCodeMethods.IsHardLink")]
    public static bool IsHardLink(FileSystemInfo item) => item is FileInfo && Status(item.FullName) is { Links: > 1 };

    /// <summary>Whether two paths lead to the same thing.</summary>
    [Replaces("InternalSymbolicLinkLinkCodeMethods.IsSameFileSystemItem")]
    public static bool IsSame(string one, string two) => Status(one) is { } a && Status(two) is { } b && (a.Device, a.Inode) == (b.Device, b.Inode);

    /// <summary>What tells a folder from others, for loops of links.</summary>
    [Replaces("InternalSymbolicLinkLinkCodeMethods.GetInodeData")]
    public static bool InodeData(string path, out (ulong, ulong) data)
    {
        var status = Status(path);
        data = (status?.Device ?? 0, status?.Inode ?? 0);
        return status is not null;
    }

    /// <summary>Makes a symbolic link.</summary>
    [Replaces("FileSystemProvider.WinCreateSymbolicLink")]
    public static bool CreateSymbolicLink(string path, string target, bool isDirectory) => Symlink(target, path) == 0;

    /// <summary>Makes a hard link.</summary>
    [Replaces("Windows.CreateHardLink")]
    public static bool CreateHardLink(string path, string target, nint security) => Link(target, path) == 0;

    private sealed record FileStatus(ulong Device, ulong Inode, uint Links);

    private static FileStatus? Status(string path)
    {
        Span<byte> x = stackalloc byte[256];
        return OperatingSystem.IsLinux() && Statx(-100, path, 0, 0x7ff, x) == 0
            ? new FileStatus(MemoryMarshal.Read<ulong>(x[0x88..]), MemoryMarshal.Read<ulong>(x[0x20..]), MemoryMarshal.Read<uint>(x[0x10..]))
            : null;
    }

    /// <summary>statx(2); its structure is the same on every processor: stx_nlink at 16, stx_ino at 32, stx_dev_major and _minor at 136.</summary>
    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Statx(int folder, string path, int flags, uint mask, Span<byte> status);

    [LibraryImport("libc", EntryPoint = "symlink", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Symlink(string target, string path);

    [LibraryImport("libc", EntryPoint = "link", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Link(string target, string path);
}
