using System.Runtime.InteropServices;
using SnapshotTools.IO.Linux;

namespace SnapshotTools.IO;

/// <summary>
/// A buffer for <see cref="IBlockFile.WriteBulk"/>: outside of the managed heap, aligned, and on Linux in huge pages where the system gives them, since a
/// disk is told of each stretch of memory by itself (measured: 4 MiB in huge pages were written in two thirds of the time).
/// </summary>
public sealed unsafe class BulkBuffer : IDisposable
{
    private const int HugePage = 2 << 20;

    private readonly int _size;
    private void* _memory;

    /// <summary>Makes a buffer, of anything.</summary>
    /// <param name="size">Its bytes.</param>
    public BulkBuffer(int size)
    {
        _size = size;
        _memory = NativeMemory.AlignedAlloc((nuint)size, HugePage);
        if (OperatingSystem.IsLinux()) _ = LinuxLibc.MAdvise(_memory, (nuint)size, LinuxLibc.WantHugePages);
    }

    /// <summary>Its first bytes.</summary>
    public Span<byte> Span(int count)
    {
        ObjectDisposedException.ThrowIf(_memory == null, this);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, _size);
        return new Span<byte>(_memory, count);
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        NativeMemory.AlignedFree(_memory);
        _memory = null;
    }
}
