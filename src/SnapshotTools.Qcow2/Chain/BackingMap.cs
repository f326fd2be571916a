using System.Numerics;

namespace SnapshotTools.Qcow2;

/// <summary>The guest's view of a chain of backing files, resolved: whichever the length of the chain, a look-up is one
/// access to a table, and a table is made once by one pass over the files. Memory is bounded; pages have one place they
/// can be in. Any number of threads may read.</summary>
internal sealed class BackingMap
{
    private const int PageBytes = MapPage.UnitCount * (sizeof(ulong) + sizeof(ushort));

    private readonly ILayer[] _layers;
    private readonly long[] _ends;
    private readonly int _unitBits;
    private readonly MapPage?[] _slots;

    /// <param name="layers">The files below the image, from the top.</param>
    /// <param name="cacheBytes">Memory for resolved pages.</param>
    public BackingMap(IReadOnlyList<ILayer> layers, long cacheBytes)
    {
        _layers = [.. layers];
        _ends = new long[_layers.Length];
        _unitBits = Limits.MaxClusterBits;
        long end = long.MaxValue;
        for (int i = 0; i < _layers.Length; i++)
        {
            // A file shows nothing of those below it beyond its own end.
            _ends[i] = end = Math.Min(end, _layers[i].VirtualSize);
            _unitBits = Math.Min(_unitBits, _layers[i].UnitBits);
        }
        long pages = (_layers[0].VirtualSize >> (_unitBits + MapPage.PageBits)) + 1;
        long slots = Math.Min(Math.Clamp(cacheBytes / PageBytes, 4, 1 << 20), pages);
        _slots = new MapPage?[BitOperations.RoundUpToPowerOf2((ulong)slots)];
    }

    /// <summary>Size of the topmost file.</summary>
    public long VirtualSize => _ends[0];

    /// <summary>Reads; what is beyond the end reads as zeroes.</summary>
    public void Read(long offset, Span<byte> buffer)
    {
        while (buffer.Length > 0)
        {
            Run run = Next(offset, buffer.Length, out int owner);
            Span<byte> part = buffer[..(int)run.Count];
            switch (run.Kind)
            {
                case ExtentKind.Data: _layers[owner].ReadHost(run.Host, part); break;
                case ExtentKind.Compressed: _layers[owner].ReadCompressed(run.Descriptor, offset, part); break;
                default: part.Clear(); break;
            }
            offset += part.Length;
            buffer = buffer[part.Length..];
        }
    }

    /// <summary>How the bytes from an offset on are held and by which file, counted from the topmost as 0.</summary>
    public Run Next(long offset, long max, out int owner)
    {
        owner = _layers.Length - 1;
        if (offset >= _ends[0])
        {
            owner = 0;
            return new Run(ExtentKind.Unallocated, max);
        }
        MapPage page = Page(offset);
        Run run = page.Next(offset, max, out ushort found, out bool invalid);
        if (invalid)
        {
            _layers[found].Next(offset, 1);
            throw new InvalidOperationException($"'{_layers[found].Path}' changed while it was open.");
        }
        if (run.Kind == ExtentKind.Unallocated) return run;
        owner = found;
        if (run.Kind == ExtentKind.Compressed)
        {
            // Two neighbours may have one and the same entry, which a page cannot tell from one cluster.
            int bits = _layers[found].ClusterBits;
            run = run with { Host = CompressedRange.FromEntry(run.Descriptor, bits).Offset, Count = Math.Min(run.Count, (((offset >> bits) + 1) << bits) - offset) };
        }
        long end = _ends[found];
        if (offset >= end) return new Run(ExtentKind.Unallocated, run.Count);
        return run with { Count = Math.Min(run.Count, end - offset) };
    }

    private MapPage Page(long offset)
    {
        long index = offset >> (_unitBits + MapPage.PageBits);
        ref MapPage? slot = ref _slots[index & (_slots.Length - 1)];
        MapPage? page = Volatile.Read(ref slot);
        if (page is not null && page.Index == index) return page;

        // Two readers may resolve one page at once: both get the same.
        page = new MapPage(index, _unitBits);
        for (int i = 0; i < _layers.Length && page.Unresolved > 0 && page.Start < _ends[i]; i++)
            _layers[i].Resolve(page, (ushort)i);
        Volatile.Write(ref slot, page);
        return page;
    }
}
