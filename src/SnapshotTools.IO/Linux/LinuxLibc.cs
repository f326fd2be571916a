using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SnapshotTools.IO.Linux;

/// <summary>Calls and constants as 64-bit Linux has them: open(2), statx(2), fcntl(2), fallocate(2), madvise(2), copy_file_range(2), ioctl_ficlone(2).</summary>
internal static partial class LinuxLibc
{
    public const int ReadOnly = 0;
    public const int WriteOnly = 1;
    public const int ReadWrite = 2;
    public const int Create = 0x40;
    public const int Exclusive = 0x80;
    public const int NonBlocking = 0x800;
    public const int CloseOnExec = 0x80000;

    // These differ between the architectures of the kernel.
    public static readonly int NoFollow = UsesArmValues ? 0x8000 : 0x20000;
    public static readonly int Directory = UsesArmValues ? 0x4000 : 0x10000;
    public static readonly int Direct = RuntimeInformation.ProcessArchitecture is Architecture.Ppc64le ? 0x20000 : UsesArmValues ? 0x10000 : 0x4000;

    public const int CurrentDirectory = -100;
    public const int StatOfHandle = 0x1000;
    public const int StatOfLink = 0x100;
    public const uint BasicStats = 0x7ff;

    public const int PunchHoleKeepingSize = 0x01 | 0x02;
    public const nuint CloneFile = 0x40049409;

    public const int NotNeeded = 4;
    public const uint StartWriting = 2;
    public const uint WriteAndWait = 7;
    public const int WantHugePages = 14;

    public const int GetOpenFileLock = 36;
    public const int SetOpenFileLock = 37;

    public const long ExtMagic = 0xef53;
    public const long XfsMagic = 0x58465342;
    public const long TmpfsMagic = 0x01021994;

    private static bool UsesArmValues =>
        RuntimeInformation.ProcessArchitecture is Architecture.Arm or Architecture.Arm64 or Architecture.Ppc64le;

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial SafeFileHandle Open(string path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int StatPath(int directory, string path, int flags, uint mask, out Statx stat);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int StatHandle(SafeFileHandle file, string path, int flags, uint mask, out Statx stat);

    [LibraryImport("libc", EntryPoint = "fstatfs", SetLastError = true)]
    public static partial int FStatFs(SafeFileHandle file, out StatFs stat);

    [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    public static partial int FDataSync(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "sync_file_range", SetLastError = true)]
    public static partial int SyncFileRange(SafeFileHandle file, long offset, long count, uint flags);

    [LibraryImport("libc", EntryPoint = "posix_fadvise")]
    public static partial int FAdvise(SafeFileHandle file, long offset, long count, int advice);

    [LibraryImport("libc", EntryPoint = "syncfs", SetLastError = true)]
    public static partial int SyncFs(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "madvise")]
    public static unsafe partial int MAdvise(void* start, nuint length, int advice);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    public static partial int FAllocate(SafeFileHandle file, int mode, long offset, long count);

    [LibraryImport("libc", EntryPoint = "copy_file_range", SetLastError = true)]
    public static partial nint CopyFileRange(SafeFileHandle source, ref long offset, SafeFileHandle target, ref long targetOffset, nuint count, uint flags);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    public static partial int IoCtl(SafeFileHandle file, nuint request, SafeFileHandle argument);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    public static partial int FCntl(SafeFileHandle file, int command, ref FLock argument);

    /// <summary>struct flock of 64-bit Linux.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct FLock
    {
        public short Type;
        public short Whence;
        public long Start;
        public long Count;
        public int ProcessId;
    }

    /// <summary>struct statfs, of which only the kind of file system is used; room for the largest of the architectures.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    public struct StatFs
    {
        [FieldOffset(0)] public long Type;
    }

    /// <summary>struct statx: one layout on every architecture, which struct stat has not.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    public struct Statx
    {
        [FieldOffset(28)] public ushort Mode;
        [FieldOffset(32)] public ulong Inode;
        [FieldOffset(40)] public long Size;
        [FieldOffset(48)] public long Blocks;
        [FieldOffset(112)] public long ModifiedSeconds;
        [FieldOffset(120)] public uint ModifiedNanoseconds;
        [FieldOffset(136)] public uint DeviceMajor;
        [FieldOffset(140)] public uint DeviceMinor;
    }
}
