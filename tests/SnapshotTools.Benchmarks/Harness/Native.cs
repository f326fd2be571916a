using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SnapshotTools.Benchmarks.Harness;

/// <summary>Calls of the C library that .NET has no method for. Linux only, as the whole benchmark.</summary>
internal static partial class Native
{
    private const int FileActionsBytes = 80, OpenReadOnly = 0, OpenWriteOnly = 1, Interrupted = 4;
    private const nuint GetFlags = 0x80086601, SetFlags = 0x40086602, TopOfTree = 0x20000;   // FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_TOPDIR_FL in linux/fs.h

    /// <summary>Writes all that the file system of a path still holds back.</summary>
    public static void SyncFileSystem(string path)
    {
        using var handle = OpenDirectory(path);
        _ = SyncFs(handle);
    }

    /// <summary>Drops a file's pages from the page cache, so that the next read comes from the disk.</summary>
    public static void DropCache(string path)
    {
        using var handle = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
        RandomAccess.FlushToDisk(handle);
        const int dontNeed = 4;
        _ = FAdvise(handle, 0, 0, dontNeed);
    }

    /// <summary>Opens a file for writing past the page cache (O_DIRECT, as x86-64 numbers it).</summary>
    public static SafeFileHandle OpenDirect(string path)
    {
        const int direct = 0x4000;
        int fd = Open(path, OpenWriteOnly | direct);
        return fd >= 0 ? new SafeFileHandle(fd, ownsHandle: true) : throw new IOException($"'{path}' cannot be opened with O_DIRECT.");
    }

    /// <summary>fsync of a directory.</summary>
    public static void SyncDirectory(string path)
    {
        using var handle = OpenDirectory(path);
        if (FSync(handle) != 0) throw new IOException($"fsync of '{path}' failed.");
    }

    /// <summary>Asks ext4 to put each folder that is made in this one into a block group of its own, as <c>chattr +T</c> does; other file systems know nothing of it.</summary>
    public static void SpreadFolders(string path)
    {
        using var handle = OpenDirectory(path);
        nuint flags = 0;
        if (Control(handle, GetFlags, ref flags) != 0) return;
        flags |= TopOfTree;
        _ = Control(handle, SetFlags, ref flags);
    }

    /// <summary>fdatasync.</summary>
    public static void SyncData(SafeFileHandle file)
    {
        if (FDataSync(file) != 0) throw new IOException("fdatasync failed.");
    }

    /// <summary>sync_file_range of the whole file, which only begins to write it.</summary>
    public static void BeginSync(SafeFileHandle file)
    {
        const uint startWriting = 2;
        _ = SyncFileRange(file, 0, 0, startWriting);
    }

    /// <summary>copy_file_range, to the end.</summary>
    public static void CopyRange(SafeFileHandle source, SafeFileHandle target, long offset, long count)
    {
        long from = offset, to = offset;
        while (count > 0)
        {
            nint copied = CopyFileRange(source, ref from, target, ref to, (nuint)count, 0);
            if (copied <= 0) throw new IOException("copy_file_range failed.");
            count -= copied;
        }
    }

    /// <summary>Starts a program with its output thrown away, with as little in between as can be: the peers' time is theirs alone.</summary>
    public static unsafe int Spawn(string path, IReadOnlyList<string> arguments, string? input)
    {
        byte* actions = stackalloc byte[FileActionsBytes];
        if (FileActionsInit(actions) != 0 || FileActionsAddOpen(actions, 0, input ?? "/dev/null", OpenReadOnly, 0) != 0 || FileActionsAddOpen(actions, 1, "/dev/null", OpenWriteOnly, 0) != 0)
            throw new IOException($"'{path}' could not be started.");
        string?[] argv = [path, .. arguments, null];
        string?[] environment = [.. Environment.GetEnvironmentVariables().Cast<System.Collections.DictionaryEntry>().Select(e => $"{e.Key}={e.Value}"), null];
        int error = PosixSpawn(out int pid, path, actions, 0, argv, environment);
        _ = FileActionsDestroy(actions);
        return error == 0 ? pid : throw new IOException($"'{path}' could not be started (errno {error}).");
    }

    /// <summary>The most memory that this process had, in bytes. What wait4 says of a child counts what its parent had when it was started.</summary>
    public static long OwnPeakBytes()
    {
        string line = File.ReadLines("/proc/self/status").First(l => l.StartsWith("VmHWM:", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], System.Globalization.CultureInfo.InvariantCulture) << 10;
    }

    /// <summary>Waits for a program; gives its exit code.</summary>
    public static int Wait(int pid)
    {
        int status;
        while (WaitPid(pid, out status, 0) < 0)
            if (Marshal.GetLastPInvokeError() != Interrupted) throw new IOException($"Waiting for process {pid} failed.");
        return (status & 0x7f) != 0 ? 128 + (status & 0x7f) : (status >> 8) & 0xff;
    }

    private static SafeFileHandle OpenDirectory(string path)
    {
        int fd = Open(path, OpenReadOnly);
        return fd >= 0 ? new SafeFileHandle(fd, ownsHandle: true) : throw new IOException($"'{path}' cannot be opened.");
    }

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "syncfs")]
    private static partial int SyncFs(SafeFileHandle handle);

    [LibraryImport("libc", EntryPoint = "fsync")]
    private static partial int FSync(SafeFileHandle handle);

    [LibraryImport("libc", EntryPoint = "ioctl")]
    private static partial int Control(SafeFileHandle handle, nuint request, ref nuint value);

    [LibraryImport("libc", EntryPoint = "sync_file_range", SetLastError = true)]
    private static partial int SyncFileRange(SafeFileHandle file, long offset, long count, uint flags);

    [LibraryImport("libc", EntryPoint = "fdatasync")]
    private static partial int FDataSync(SafeFileHandle handle);

    [LibraryImport("libc", EntryPoint = "posix_fadvise")]
    private static partial int FAdvise(SafeFileHandle handle, long offset, long count, int advice);

    [LibraryImport("libc", EntryPoint = "copy_file_range")]
    private static partial nint CopyFileRange(SafeFileHandle source, ref long sourceOffset, SafeFileHandle target, ref long targetOffset, nuint count, uint flags);

    [LibraryImport("libc", EntryPoint = "posix_spawn", StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int PosixSpawn(out int pid, string path, byte* actions, nint attributes, string?[] argv, string?[] environment);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_init")]
    private static unsafe partial int FileActionsInit(byte* actions);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_addopen", StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int FileActionsAddOpen(byte* actions, int fd, string path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "posix_spawn_file_actions_destroy")]
    private static unsafe partial int FileActionsDestroy(byte* actions);

    [LibraryImport("libc", EntryPoint = "waitpid", SetLastError = true)]
    private static partial int WaitPid(int pid, out int status, int options);
}
