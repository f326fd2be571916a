using System.Runtime.InteropServices;
using SnapshotTools.Qemu.Launch;
using SnapshotTools.Qemu.Memory;
using Xunit;

namespace SnapshotTools.Qemu.Tests.Memory;

/// <summary>Huge pages given back to a process: this one.</summary>
public sealed unsafe partial class HugePagesTests
{
    private const nuint Huge = 2 << 20;
    private const int WantHuge = 14, WantSmall = 15;

    [Fact]
    public void Small_pages_that_are_all_written_become_huge_and_others_take_no_memory()
    {
        if (!OperatingSystem.IsLinux() || ProcessIdentity.Of(Environment.ProcessId) is not { } self) return;
        const int Written = 8, All = 16;
        byte* memory = (byte*)NativeMemory.AlignedAlloc(All * Huge, Huge);
        try
        {
            Assert.Equal(0, Advise(memory, All * Huge, WantSmall));
            var written = new Span<byte>(memory, (int)(Written * Huge));
            new Random(17).NextBytes(written);
            byte[] expected = written.ToArray();
            memory[Written * Huge] = 1;     // one small page of the next one
            if (Advise(memory, All * Huge, WantHuge) != 0) return;      // a kernel without huge pages
            long before = HugeBytes(memory);
            long restored = HugePages.Restore(self);
            long after = HugeBytes(memory);
            Assert.True(written.SequenceEqual(expected));
            Assert.InRange(after, before, (long)((Written + 1) * Huge));    // the system itself may make one of the page that has a part written
            if (restored > 0) Assert.True(after > before);
        }
        finally
        {
            NativeMemory.AlignedFree(memory);
        }
    }

    /// <summary>What of the area at an address is in huge pages.</summary>
    private static long HugeBytes(byte* at)
    {
        bool isHere = false;
        foreach (string line in File.ReadLines("/proc/self/smaps"))
        {
            if (line.IndexOf('-', StringComparison.Ordinal) is > 0 and int dash && char.IsAsciiHexDigitLower(line[0]))
            {
                ulong start = Convert.ToUInt64(line[..dash], 16), end = Convert.ToUInt64(line[(dash + 1)..line.IndexOf(' ', StringComparison.Ordinal)], 16);
                isHere = start <= (ulong)at && (ulong)at < end;
            }
            else if (isHere && line.StartsWith("AnonHugePages:", StringComparison.Ordinal))
            {
                return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]) << 10;
            }
        }
        return 0;
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(byte* address, nuint length, int advice);
}
