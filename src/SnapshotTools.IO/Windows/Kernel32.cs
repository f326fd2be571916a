using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SnapshotTools.IO.Windows;

/// <summary>Win32 calls: 0 (or an invalid handle) and GetLastError on failure.</summary>
internal static partial class Kernel32
{
    public const uint GenericRead = 0x80000000;
    public const uint GenericWrite = 0x40000000;
    public const uint ShareAll = 0x7;
    public const uint CreateNew = 1;
    public const uint OpenExisting = 3;
    public const uint OpenReparsePoint = 0x00200000;
    public const uint BackupSemantics = 0x02000000;

    public const uint SetSparse = 0x000900C4;
    public const uint SetZeroData = 0x000980C8;
    public const uint QueryAllocatedRanges = 0x000940CF;

    public const uint LockFailImmediately = 1;
    public const uint LockExclusive = 2;

    public const int ErrorFileNotFound = 2;
    public const int ErrorPathNotFound = 3;
    public const int ErrorLockViolation = 33;
    public const int ErrorHandleDiskFull = 39;
    public const int ErrorDiskFull = 112;
    public const int ErrorMoreData = 234;
    public const int ErrorIoPending = 997;
    public const int ErrorQuota = 1295;

    public const uint MoveReplaceExisting = 1;
    public const uint MoveWriteThrough = 8;

    [LibraryImport("kernel32", EntryPoint = "CreateFileW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    public static partial SafeFileHandle CreateFile(string path, uint access, uint share, nint security, uint disposition, uint flags, nint template);

    [LibraryImport("kernel32", SetLastError = true)]
    public static unsafe partial int DeviceIoControl(SafeFileHandle file, uint code, void* input, int inputSize, void* output, int outputSize, out int returned, nint overlapped);

    [LibraryImport("kernel32", SetLastError = true)]
    public static partial int LockFileEx(SafeFileHandle file, uint flags, uint reserved, uint countLow, uint countHigh, ref Overlapped overlapped);

    [LibraryImport("kernel32", SetLastError = true)]
    public static partial int UnlockFileEx(SafeFileHandle file, uint reserved, uint countLow, uint countHigh, ref Overlapped overlapped);

    [LibraryImport("kernel32", SetLastError = true)]
    public static partial int GetFileInformationByHandle(SafeFileHandle file, out FileInformation information);

    [LibraryImport("kernel32", EntryPoint = "MoveFileExW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    public static partial int MoveFileEx(string path, string newPath, uint flags);

    [LibraryImport("kernel32", EntryPoint = "GetCompressedFileSizeW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    public static partial uint GetCompressedFileSize(string path, out uint high);

    [LibraryImport("kernel32", EntryPoint = "GetDiskFreeSpaceExW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    public static partial int GetDiskFreeSpaceEx(string directory, out ulong freeForUser, nint total, nint free);

    /// <summary>OVERLAPPED, of which a lock uses the offset.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Overlapped
    {
        public nint Internal, InternalHigh;
        public long Offset;
        public nint Event;
    }

    /// <summary>BY_HANDLE_FILE_INFORMATION.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct FileInformation
    {
        public FileAttributes Attributes;
        public uint CreatedLow, CreatedHigh, AccessedLow, AccessedHigh, ModifiedLow, ModifiedHigh;
        public uint VolumeSerial;
        public uint SizeHigh, SizeLow;
        public uint Links;
        public uint IndexHigh, IndexLow;
    }

    /// <summary>FILE_ALLOCATED_RANGE_BUFFER, and with an end in place of the count FILE_ZERO_DATA_INFORMATION.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Range
    {
        public long Offset;
        public long CountOrEnd;
    }
}
