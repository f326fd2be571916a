using System.Runtime.InteropServices;

namespace SnapshotTools.Qcow2;

/// <summary>A buffer outside of the managed heap, aligned to pages, of one worker.</summary>
internal sealed unsafe class NativeBuffer(int size) : IDisposable
{
    private const int Page = 4096;

    private void* _memory = NativeMemory.AlignedAlloc((nuint)size, Page);

    /// <summary>Its first bytes.</summary>
    public Span<byte> Span(int count)
    {
        ObjectDisposedException.ThrowIf(_memory == null, this);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, size);
        return new Span<byte>(_memory, count);
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(_memory);
        _memory = null;
    }
}
