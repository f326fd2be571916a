using System.Numerics;
using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>Answers where one layer holds a guest offset. It keeps slices of L2 tables in a fixed number of places, each
/// slice having one place it can be in, so that a look-up takes no lock and no more memory than was allowed. Slices
/// that were changed stay until they are written.</summary>
/// <remarks>Many threads may read at once; changes need that no other thread is in here.</remarks>
internal sealed class LayerMap
{
    /// <summary>Slices of up to 16 KiB: what one read brings at hardly more than the cost of a smaller one.</summary>
    private const int MaxSliceBits = 14;

    private readonly IBlockFile _file;
    private readonly Geometry _geometry;
    private readonly int _sliceBits;
    private readonly int _coverageBits;
    private readonly int _maxSlots;
    private readonly Dictionary<long, L2Slice> _dirty = [];
    private L2Slice?[] _slots = [];
    private bool _areTablesDistinct;

    public LayerMap(IBlockFile file, Qcow2Header header, Geometry geometry, long cacheBytes)
    {
        _file = file;
        _geometry = geometry;
        Format = new L2Format(geometry, header.Version);
        L1 = new L1Table(file, header.L1Offset, header.L1Entries);
        _sliceBits = Math.Min(geometry.ClusterBits, MaxSliceBits);
        _coverageBits = geometry.ClusterBits + _sliceBits - geometry.L2EntryBits;
        _maxSlots = (int)BitOperations.RoundUpToPowerOf2((uint)Math.Clamp(cacheBytes >> _sliceBits, 16, 1 << 20));
    }

    public L2Format Format { get; }

    public L1Table L1 { get; set; }

    /// <summary>Slices that were changed and not written yet.</summary>
    public IReadOnlyDictionary<long, L2Slice> Dirty => _dirty;

    /// <summary>L2 tables that were made since the last barrier. What of them was not written yet is zero.</summary>
    public HashSet<long> NewTables { get; } = [];

    public int SliceBytes => 1 << _sliceBits;

    /// <summary>Where in its slice the entry of a guest offset is.</summary>
    public int EntryOffset(long offset) =>
        (int)((offset >> _geometry.ClusterBits) & ((1L << (_coverageBits - _geometry.ClusterBits)) - 1)) << _geometry.L2EntryBits;

    /// <summary>The first guest offset that the slice of this one does not map.</summary>
    public long SliceEnd(long offset) => ((offset >> _coverageBits) + 1) << _coverageBits;

    public int L1Index(long offset) => (int)(offset >> _geometry.L2CoverageBits);

    /// <summary>Refuses a layer whose L1 table names one L2 table twice.</summary>
    /// <exception cref="Qcow2Exception"><see cref="Qcow2ErrorCode.InvalidTable"/></exception>
    public void RequireDistinctTables()
    {
        if (_areTablesDistinct) return;
        var seen = new HashSet<long>();
        for (int i = 0; i < L1.Entries; i++)
        {
            long table = L2Format.HostOffset(L1[i]);
            if (table == 0 || seen.Add(table)) continue;
            throw new Qcow2Exception(Qcow2ErrorCode.InvalidTable, _file.Path, $"In '{_file.Path}' the L1 table names the L2 table at {table} for two places of the disk. The image is damaged.");
        }
        _areTablesDistinct = true;
    }

    /// <summary>How the bytes from an offset on are held: as many as are held alike, at most <paramref name="max"/>.</summary>
    public Run Next(long offset, long max)
    {
        Run first = NextInSlice(offset, max);
        long count = first.Count;
        while (count < max && first.Kind != ExtentKind.Compressed)
        {
            Run more = NextInSlice(offset + count, max - count);
            if (more.Kind != first.Kind || more.Host != (first.Host < 0 ? -1 : first.Host + count)) break;
            count += more.Count;
            // A caller that reads can use no longer run of data at once; one that maps comes again.
            if (first.Kind == ExtentKind.Data && count >= 64L << 20) break;
        }
        return first with { Count = count };
    }

    private Run NextInSlice(long offset, long max)
    {
        L2Slice? slice = Find(offset);
        if (slice is null)
        {
            long coverage = 1L << _geometry.L2CoverageBits;
            return new Run(ExtentKind.Unallocated, Math.Min(max, coverage - (offset & (coverage - 1))));
        }
        max = Math.Min(max, SliceEnd(offset) - offset);
        return _geometry.ExtendedL2 ? NextExtended(slice, offset, max) : NextStandard(slice, offset, max);
    }

    private Run NextStandard(L2Slice slice, long offset, long max)
    {
        int at = EntryOffset(offset);
        ulong entry = slice.Word(at);
        ClusterKind kind = Format.KindOf(entry);
        long inCluster = _geometry.OffsetInCluster(offset);
        long count = _geometry.ClusterSize - inCluster;
        if (kind == ClusterKind.Compressed) return CompressedRun(entry, Math.Min(count, max));
        if (kind == ClusterKind.Invalid) throw InvalidEntry(offset, entry);
        long host = L2Format.HostOffset(entry);

        if (host == 0)
        {
            // A short read need not know where it ends, and looking for that takes longer than the rest.
            if (count < max) count += (long)(slice.AlikeFrom(at) - 1) << _geometry.ClusterBits;
            return new Run(ToExtent(kind), Math.Min(count, max));
        }
        ulong expected = entry & ~L2Format.Copied;
        for (; count < max; count += _geometry.ClusterSize)
        {
            at += 8;
            expected += (ulong)_geometry.ClusterSize;
            if ((slice.Word(at) & ~L2Format.Copied) != expected) break;
        }
        return new Run(ToExtent(kind), Math.Min(count, max), host + inCluster);
    }

    private Run NextExtended(L2Slice slice, long offset, long max)
    {
        Run first = default;
        long count = 0;
        while (count < max)
        {
            Run part = ExtendedPart(slice, offset + count);
            if (count == 0) first = part;
            else if (part.Kind != first.Kind || part.Host != (first.Host < 0 ? -1 : first.Host + count)) break;
            count += part.Count;
            if (first.Kind == ExtentKind.Compressed) break;
        }
        return first with { Count = Math.Min(count, max) };
    }

    /// <summary>The subclusters from an offset to the end of its cluster that are alike.</summary>
    private Run ExtendedPart(L2Slice slice, long offset)
    {
        int at = EntryOffset(offset);
        ulong entry = slice.Word(at);
        long inCluster = _geometry.OffsetInCluster(offset);
        ClusterKind kind = Format.KindOf(entry);
        if (kind == ClusterKind.Compressed) return CompressedRun(entry, _geometry.ClusterSize - inCluster);
        ulong bitmap = slice.Word(at + 8);
        if (kind == ClusterKind.Invalid || !L2Format.IsValidBitmap(entry, bitmap)) throw InvalidEntry(offset, entry);

        int sub = (int)(inCluster >> _geometry.SubclusterBits);
        uint data = (uint)bitmap >> sub, zero = (uint)(bitmap >> 32) >> sub;
        (ExtentKind extent, uint same) = (data & 1) != 0 ? (ExtentKind.Data, data)
            : (zero & 1) != 0 ? (ExtentKind.Zero, zero) : (ExtentKind.Unallocated, ~(data | zero));
        int alike = Math.Min(BitOperations.TrailingZeroCount(~same), 32 - sub);
        long end = (long)(sub + alike) << _geometry.SubclusterBits;
        long host = L2Format.HostOffset(entry);
        return new Run(extent, end - inCluster, host == 0 || extent == ExtentKind.Unallocated ? -1 : host + inCluster);
    }

    private Run CompressedRun(ulong entry, long count) =>
        new(ExtentKind.Compressed, count, CompressedRange.FromEntry(entry, _geometry.ClusterBits).Offset, entry);

    private static ExtentKind ToExtent(ClusterKind kind) => kind switch
    {
        ClusterKind.Data => ExtentKind.Data,
        ClusterKind.Zero => ExtentKind.Zero,
        _ => ExtentKind.Unallocated,
    };

    /// <summary>The slice that maps a guest offset; null where there is no L2 table.</summary>
    public L2Slice? Find(long offset)
    {
        long index = offset >> _coverageBits;
        if (_slots.Length > 0 && _slots[index & (_slots.Length - 1)] is { } slice && slice.Index == index) return slice;
        if (_dirty.Count > 0 && _dirty.TryGetValue(index, out slice)) return slice;
        long host = SliceHost(offset);
        return host < 0 ? null : Keep(new L2Slice(index, host, Load(host)));
    }

    /// <summary>Remembers that a slice was changed.</summary>
    public void MarkDirty(L2Slice slice) => _dirty[slice.Index] = slice;

    /// <summary>Forgets that a slice was changed, after it was written.</summary>
    public void MarkClean(L2Slice slice)
    {
        slice.MarkClean();
        _dirty.Remove(slice.Index);
    }

    /// <summary>Drops what is kept of the table of an L1 entry, which moved; none of it may be changed and unwritten.</summary>
    public void Forget(int l1Index)
    {
        long first = (long)l1Index << (_geometry.L2CoverageBits - _coverageBits);
        for (long index = first; index < first + (1L << (_geometry.L2CoverageBits - _coverageBits)); index++)
            if (_slots.Length > 0 && _slots[index & (_slots.Length - 1)]?.Index == index) _slots[index & (_slots.Length - 1)] = null;
    }

    /// <summary>The host offset of a table that an L1 entry names, or -1 for none, checked.</summary>
    public long TableOffset(int l1Index)
    {
        if (l1Index >= L1.Entries) return -1;
        ulong entry = L1[l1Index];
        if (entry == 0) return -1;
        long table = L2Format.HostOffset(entry);
        if (!Format.IsValidL1(entry) || table == 0)
            throw new Qcow2Exception(Qcow2ErrorCode.InvalidTable, _file.Path, $"Entry {l1Index} of the L1 table of '{_file.Path}' is impossible: 0x{entry:x16}.");
        return table;
    }

    private long SliceHost(long offset)
    {
        long table = TableOffset(L1Index(offset));
        if (table < 0) return -1;
        long slicesPerTable = 1L << (_geometry.L2CoverageBits - _coverageBits);
        return table + (((offset >> _coverageBits) & (slicesPerTable - 1)) << _sliceBits);
    }

    private byte[] Load(long host)
    {
        byte[] bytes = new byte[SliceBytes];
        int read = _file.Read(host, bytes);
        if (read < bytes.Length && !NewTables.Contains(host & -(long)_geometry.ClusterSize))
            throw new Qcow2Exception(Qcow2ErrorCode.Truncated, _file.Path, $"'{_file.Path}' ends within an L2 table, at {host + read}.");
        return bytes;
    }

    private L2Slice Keep(L2Slice slice)
    {
        L2Slice?[] slots = _slots;
        if (slots.Length == 0)
        {
            long slices = (long)L1.Entries << (_geometry.L2CoverageBits - _coverageBits);
            _slots = slots = new L2Slice?[Math.Min(_maxSlots, (int)BitOperations.RoundUpToPowerOf2((ulong)Math.Clamp(slices, 1, 1 << 20)))];
        }
        slots[slice.Index & (slots.Length - 1)] = slice;
        return slice;
    }

    private Qcow2Exception InvalidEntry(long offset, ulong entry) => new(
        Qcow2ErrorCode.InvalidTable,
        _file.Path,
        $"The L2 entry for guest offset {offset} of '{_file.Path}' is impossible: 0x{entry:x16}.");
}
