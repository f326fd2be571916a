using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using SnapshotTools.Qemu.Launch;

namespace SnapshotTools.Qemu.Memory;

/// <summary>
/// Gives a process back the huge pages that a background snapshot of its memory has split: page by page QEMU takes away their protection.
/// With small pages the next snapshot's protection takes a hundred times as long, with the guest standing, and the guest itself is slower. The system puts
/// them together again too, but some megabytes in a minute. Done by process_madvise(2), MADV_COLLAPSE, which needs Linux 6.1 and CAP_SYS_NICE; what to
/// do it with is found by the ioctl PAGEMAP_SCAN of Linux 6.7.
/// </summary>
internal static partial class HugePages
{
    private const string Settings = "/sys/kernel/mm/transparent_hugepage/";
    private const int ProcessMAdvise = 440;
    private const int Collapse = 25;
    private const nuint PageMapScan = 0xc0606610;
    private const ulong IsPresent = 1 << 3, IsZero = 1 << 5, IsHuge = 1 << 6;
    private const ulong Step = 64 << 20;    // of one call; the guest waits for no more than the copy of one huge page at a time
    private const int NotPermitted = 1, NoProcess = 3, NoMemory = 12, Busy = 16, NotImplemented = 38;
    private const int MostRegions = 512;

    [StructLayout(LayoutKind.Sequential)]
    private struct ScanArguments
    {
        public ulong Size, Flags, Start, End, WalkEnd, Regions, RegionsLength, MaxPages, CategoryInverted, CategoryMask, CategoryAnyOf, ReturnMask;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Region
    {
        public ulong Start, End, Categories;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Range
    {
        public nuint Start, Length;
    }

    /// <summary>Puts small pages together where the process has asked for huge ones and all of one is in memory and has been written to, so that it takes no more memory.</summary>
    /// <returns>Bytes in huge pages that were not before; 0 also where it is not possible or not permitted.</returns>
    public static long Restore(ProcessIdentity process)
    {
        if (!OperatingSystem.IsLinux() || SizeOf() is not { } size) return 0;
        long restored = 0;
        try
        {
            using var pages = File.OpenHandle(string.Create(CultureInfo.InvariantCulture, $"/proc/{process.Id}/pagemap"));
            using var pinned = process.Pin();
            if (pinned is null) return 0;
            foreach (var (start, length) in MemoryAreas.Find(process, MemoryAreas.HugePages))
            {
                ulong from = (start + size - 1) / size * size, to = (start + length) / size * size;
                for (; from < to; from += Step)
                {
                    foreach (var (at, count) in FindSmall(pages, from, Math.Min(from + Step, to), size))
                    {
                        if (Collapsed(pinned, at, count) is not { } bytes) return restored;
                        restored += bytes;
                    }
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Nothing depends on it but speed.
        }
        return restored;
    }

    /// <summary>The size of a huge page; null where the system is to make none.</summary>
    private static ulong? SizeOf()
    {
        try
        {
            return File.ReadAllText(Settings + "enabled").Contains("[never]", StringComparison.Ordinal) ? null
                : ulong.Parse(File.ReadAllText(Settings + "hpage_pmd_size").Trim(), CultureInfo.InvariantCulture);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static unsafe List<(ulong Start, ulong Length)> FindSmall(SafeFileHandle pages, ulong from, ulong to, ulong size)
    {
        var found = new List<(ulong, ulong)>();
        var regions = stackalloc Region[MostRegions];
        while (from < to)
        {
            var scan = new ScanArguments
            {
                Size = (ulong)sizeof(ScanArguments),
                Start = from,
                End = to,
                Regions = (ulong)regions,
                RegionsLength = MostRegions,
                CategoryMask = IsPresent | IsZero | IsHuge,
                CategoryInverted = IsZero | IsHuge,
                ReturnMask = IsPresent,
            };
            int count = IoCtl(pages, PageMapScan, ref scan);
            if (count < 0) return [];
            for (int i = 0; i < count; i++)
            {
                ulong start = (regions[i].Start + size - 1) / size * size, end = regions[i].End / size * size;
                if (end > start) found.Add((start, end - start));
            }
            // What the room ended in goes on in the next one.
            ulong next = scan.WalkEnd / size * size;
            from = next > from ? next : from + size;
        }
        return found;
    }

    /// <summary>The bytes that are in huge pages now; null where it is of no use to go on. A range with a page that the kernel holds just now counts as nothing.</summary>
    private static long? Collapsed(SafeFileHandle process, ulong start, ulong length)
    {
        var range = new Range { Start = (nuint)start, Length = (nuint)length };
        nint bytes = SystemCall(ProcessMAdvise, (int)process.DangerousGetHandle(), ref range, 1, Collapse, 0);
        if (bytes >= 0) return bytes;
        return Marshal.GetLastPInvokeError() is NotPermitted or NoProcess or NoMemory or Busy or NotImplemented ? null : 0;
    }

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint SystemCall(nint number, nint first, ref Range ranges, nint third, nint fourth, nint fifth);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int IoCtl(SafeFileHandle file, nuint request, ref ScanArguments arguments);
}
