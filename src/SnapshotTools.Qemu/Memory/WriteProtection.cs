using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using SnapshotTools.Qemu.Launch;

namespace SnapshotTools.Qemu.Memory;

/// <summary>
/// Takes away the write protection that a background snapshot of the memory left behind. QEMU 7.2, when such a snapshot fails
/// or is cancelled half-way, forgets to: the guest stands for ever at its first write to a page that was not saved yet,
/// and QEMU's own main loop with it, so that no command helps. From outside it can be done: the descriptor through which QEMU
/// protected the pages is borrowed (pidfd_getfd(2)) and told to let go (ioctl_userfaultfd(2)).
/// </summary>
public static partial class WriteProtection
{
    private const int PidFdGetFd = 438;
    private const nuint UffdioWriteProtect = 0xc018aa06;
    private const nuint UffdioUnregister = 0x8010aa01;

    [StructLayout(LayoutKind.Sequential)]
    private struct Range
    {
        public ulong Start;
        public ulong Length;
        public ulong Mode;      // of UFFDIO_WRITEPROTECT: 0 takes the protection away and wakes who waits
    }

    /// <summary>
    /// Releases every page of a process that is still protected. Only for a QEMU whose background snapshot has ended: one that
    /// runs would miss writes.
    /// </summary>
    /// <returns>Whether there was something to release. False also where it is not permitted.</returns>
    public static bool Release(ProcessIdentity process)
    {
        if (!OperatingSystem.IsLinux() || FindDescriptors(process) is not { Length: > 0 } descriptors) return false;
        var ranges = MemoryAreas.Find(process, MemoryAreas.WriteProtectTracking);
        if (ranges.Count == 0) return false;
        using var pinned = process.Pin();
        if (pinned is null) return false;
        bool released = false;
        foreach (int descriptor in descriptors)
        {
            using var borrowed = new SafeFileHandle(SystemCall(PidFdGetFd, (int)pinned.DangerousGetHandle(), descriptor, 0), ownsHandle: true);
            if (borrowed.IsInvalid) continue;
            foreach (var (start, length) in ranges)
            {
                var argument = new Range { Start = start, Length = length };
                released |= IoCtl((int)borrowed.DangerousGetHandle(), UffdioWriteProtect, ref argument) == 0;
                argument = new Range { Start = start, Length = length };
                IoCtl((int)borrowed.DangerousGetHandle(), UffdioUnregister, ref argument);
            }
        }
        return released;
    }

    private static int[] FindDescriptors(ProcessIdentity process)
    {
        try
        {
            return [.. Directory.EnumerateFileSystemEntries($"{FolderOf(process)}/fd")
                .Where(f => new FileInfo(f).LinkTarget == "anon_inode:[userfaultfd]")
                .Select(f => int.Parse(Path.GetFileName(f), CultureInfo.InvariantCulture))];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private static string FolderOf(ProcessIdentity process) => string.Create(CultureInfo.InvariantCulture, $"/proc/{process.Id}");

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint SystemCall(nint number, nint first, nint second, nint third);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int IoCtl(int descriptor, nuint request, ref Range range);
}
