using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SnapshotTools.IO.MacOS;

/// <summary>
/// Calls and constants as macOS has them. Its arm64 convention passes variadic arguments on the stack and not in
/// registers, so open and fcntl are declared with the argument both in its register and, behind eight registers' worth of
/// arguments, on the stack: right on both architectures.
/// </summary>
internal static partial class MacLibc
{
    public const int ReadOnly = 0;
    public const int ReadWrite = 2;
    public const int NonBlocking = 0x4;
    public const int NoFollow = 0x100;
    public const int Create = 0x200;
    public const int Exclusive = 0x800;
    public const int Directory = 0x100000;
    public const int CloseOnExec = 0x1000000;

    public const int FullSync = 51;
    public const int SetOpenFileLock = 90;
    public const int GetOpenFileLock = 92;
    public const int PunchHole = 99;

    public static SafeFileHandle Open(string path, int flags, uint mode) => OpenVariadic(path, flags, (nint)mode, 0, 0, 0, 0, 0, (nint)mode);

    public static unsafe int FCntl<T>(SafeFileHandle file, int command, ref T argument)
        where T : unmanaged
    {
        fixed (T* a = &argument) return FCntlVariadic(file, command, (nint)a, 0, 0, 0, 0, 0, (nint)a);
    }

    public static int FCntl(SafeFileHandle file, int command) => FCntlVariadic(file, command, 0, 0, 0, 0, 0, 0, 0);

    public static int StatPath(string path, bool follow, out Stat stat) => (RuntimeInformation.ProcessArchitecture, follow) switch
    {
        (Architecture.X64, true) => Stat64(path, out stat),
        (Architecture.X64, false) => LStat64(path, out stat),
        (_, true) => StatArm(path, out stat),
        (_, false) => LStatArm(path, out stat),
    };

    public static int StatHandle(SafeFileHandle file, out Stat stat) =>
        RuntimeInformation.ProcessArchitecture == Architecture.X64 ? FStat64(file, out stat) : FStatArm(file, out stat);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle OpenVariadic(string path, int flags, nint inRegister, nint x3, nint x4, nint x5, nint x6, nint x7, nint onStack);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int FCntlVariadic(SafeFileHandle file, int command, nint inRegister, nint x3, nint x4, nint x5, nint x6, nint x7, nint onStack);

    [LibraryImport("libc", EntryPoint = "stat$INODE64", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Stat64(string path, out Stat stat);

    [LibraryImport("libc", EntryPoint = "lstat$INODE64", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int LStat64(string path, out Stat stat);

    [LibraryImport("libc", EntryPoint = "fstat$INODE64", SetLastError = true)]
    private static partial int FStat64(SafeFileHandle file, out Stat stat);

    [LibraryImport("libc", EntryPoint = "stat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatArm(string path, out Stat stat);

    [LibraryImport("libc", EntryPoint = "lstat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int LStatArm(string path, out Stat stat);

    [LibraryImport("libc", EntryPoint = "fstat", SetLastError = true)]
    private static partial int FStatArm(SafeFileHandle file, out Stat stat);

    /// <summary>struct flock of macOS.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct FLock
    {
        public long Start;
        public long Count;
        public int ProcessId;
        public short Type;
        public short Whence;
    }

    /// <summary>struct fpunchhole.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Hole
    {
        public uint Flags;
        public uint Reserved;
        public long Offset;
        public long Count;
    }

    /// <summary>struct stat with 64-bit inodes.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 144)]
    public struct Stat
    {
        [FieldOffset(0)] public int Device;
        [FieldOffset(4)] public ushort Mode;
        [FieldOffset(8)] public ulong Inode;
        [FieldOffset(48)] public long ModifiedSeconds;
        [FieldOffset(56)] public long ModifiedNanoseconds;
        [FieldOffset(96)] public long Size;
        [FieldOffset(104)] public long Blocks;
    }
}
