using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace SnapshotTools.Qcow2;

/// <summary>The counts as the file has them. Entries of its table that cannot be right are known as damaged; the counts of
/// their range are unknown.</summary>
internal sealed class RefcountTable
{
    /// <summary>Memory for refcount blocks that were read.</summary>
    private const int CacheBytes = 8 << 20;

    private readonly SparseReader _reader;
    private readonly Geometry _geometry;
    private readonly long[] _blocks;
    private readonly HashSet<int> _damaged = [];
    private readonly (int Index, byte[]? Block)[] _cache;
    private int _lastIndex = -1;
    private byte[]? _last;

    private RefcountTable(SparseReader reader, Geometry geometry, long[] blocks)
    {
        _reader = reader;
        _geometry = geometry;
        _blocks = blocks;
        _cache = new (int, byte[]?)[Math.Max(4, CacheBytes >> geometry.ClusterBits)];
        Array.Fill(_cache, (-1, null));
    }

    /// <summary>Entries of the table.</summary>
    public int Length => _blocks.Length;

    /// <summary>log2 of the clusters that a block counts.</summary>
    public int BlockBits => _geometry.RefcountBlockBits;

    /// <summary>Whether there is no table, or some of its entries are damaged, so that counts cannot be mended in their place.</summary>
    public bool IsDamaged => Length == 0 || _damaged.Count > 0;

    /// <summary>Host offset of a block; 0 without one.</summary>
    public long BlockOffset(int index) => _blocks[index];

    /// <summary>Whether the counts of a block's range are unknown.</summary>
    public bool IsBlockDamaged(int index) => _damaged.Contains(index);

    /// <summary>Stands for a table that cannot be read: all counts are unknown.</summary>
    public static RefcountTable None(SparseReader reader, Geometry geometry) => new(reader, geometry, []);

    /// <summary>Reads the table and counts its blocks as references.</summary>
    public static RefcountTable Load(SparseReader reader, Qcow2Header header, Geometry geometry, ReferenceCounts counts, FindingCollector findings)
    {
        byte[] bytes = new byte[(long)header.RefcountTableClusters << header.ClusterBits];
        counts.Charge(bytes.Length * 2L);
        if (!reader.TryRead(header.RefcountTableOffset, bytes)) bytes.AsSpan().Clear();
        long[] blocks = new long[bytes.Length / 8];
        for (int i = 0; i < blocks.Length; i++) blocks[i] = BinaryPrimitives.ReadInt64BigEndian(bytes.AsSpan(i * 8));
        var table = new RefcountTable(reader, geometry, blocks);
        for (int i = 0; i < blocks.Length; i++)
        {
            if (blocks[i] == 0 || table.Admit(i, counts, findings)) continue;
            table._damaged.Add(i);
            counts.Charge(64);
            table._blocks[i] = 0;
        }
        return table;
    }

    private bool Admit(int index, ReferenceCounts counts, FindingCollector findings)
    {
        long offset = _blocks[index];
        bool Refuse(FormattableString cause)
        {
            findings.AddError(CheckFindingKind.RefcountTable, offset, -1, cause);
            return false;
        }
        if ((offset & (Limits.Sector - 1)) != 0) return Refuse($"Entry {index} of the refcount table (0x{offset:x}) has reserved bits set.");
        if (!_geometry.IsAligned(offset)) return Refuse($"Refcount block {index} at {offset} does not begin at a cluster.");
        if (offset < 0 || offset > _reader.Length - _geometry.ClusterSize) return Refuse($"Refcount block {index} at {offset} lies past the end of the file at {_reader.Length}.");
        if (counts.Add(_geometry.ClusterOf(offset), 1, ClusterUse.Metadata) == ClusterUse.None) return true;
        counts.Remove(_geometry.ClusterOf(offset));
        return Refuse($"Refcount block {index} at {offset} lies where the header, a table or another refcount block is.");
    }

    /// <summary>The count of a cluster; null where it is unknown.</summary>
    public ulong? Get(long cluster)
    {
        long index = cluster >> BlockBits;
        if (index >= _blocks.Length) return Length == 0 ? null : 0;
        if (_last is null || index != _lastIndex)
        {
            if (_blocks[index] == 0) return IsBlockDamaged((int)index) ? null : 0;
            (_lastIndex, _last) = ((int)index, ReadBlock((int)index));
        }
        return Entry(_last, _geometry.RefcountOrder, cluster & ((1L << BlockBits) - 1));
    }

    /// <summary>The count that all clusters of a range have; null when they differ, or are not in a block.</summary>
    public ulong? GetUniform(long cluster, int count)
    {
        ulong? uniform = null;
        while (count > 0)
        {
            long index = cluster >> BlockBits, within = cluster & ((1L << BlockBits) - 1);
            if (index >= _blocks.Length || Block((int)index) is not { } block) return null;
            int here = (int)Math.Min(count, (1L << BlockBits) - within);
            (ulong value, int alike) = EqualEntries(block, _geometry.RefcountOrder, within, here);
            if (alike < here || (uniform ?? value) != value) return null;
            uniform = value;
            cluster += here;
            count -= here;
        }
        return uniform;
    }

    /// <summary>The bytes of a block (zeroes where the file has a hole), or null when there is none. Valid until the next call.</summary>
    public byte[]? Block(int index) => _blocks[index] == 0 ? null : ReadBlock(index);

    private byte[] ReadBlock(int index)
    {
        ref (int Index, byte[]? Block) slot = ref _cache[index % _cache.Length];
        if (slot.Index == index) return slot.Block!;
        // The last block that was handed out may be the one that is replaced.
        _last = null;
        slot.Block ??= new byte[_geometry.ClusterSize];
        slot.Index = index;
        if (!_reader.TryRead(_blocks[index], slot.Block)) slot.Block.AsSpan().Clear();
        return slot.Block;
    }

    /// <summary>An entry of a refcount block; below 8 bits the first entry is in the lowest bits of a byte.</summary>
    public static ulong Entry(ReadOnlySpan<byte> block, int order, long index) => order switch
    {
        < 3 => (ulong)(block[(int)(index >> (3 - order))] >> (int)((index & ((1 << (3 - order)) - 1)) << order)) & ((1UL << (1 << order)) - 1),
        3 => block[(int)index],
        4 => BinaryPrimitives.ReadUInt16BigEndian(block[(int)(index * 2)..]),
        5 => BinaryPrimitives.ReadUInt32BigEndian(block[(int)(index * 4)..]),
        _ => BinaryPrimitives.ReadUInt64BigEndian(block[(int)(index * 8)..]),
    };

    /// <summary>An entry of a refcount block, and how many from it on are equal.</summary>
    public static (ulong Value, int Count) EqualEntries(ReadOnlySpan<byte> block, int order, long index, int max)
    {
        ulong value = Entry(block, order, index);
        switch (order)
        {
            case < 3:
                int count = 1;
                while (count < max && Entry(block, order, index + count) == value) count++;
                return (value, count);
            case 3: return (value, Alike(block.Slice((int)index, max)));
            case 4: return (value, Alike(MemoryMarshal.Cast<byte, ushort>(block).Slice((int)index, max)));
            case 5: return (value, Alike(MemoryMarshal.Cast<byte, uint>(block).Slice((int)index, max)));
            default: return (value, Alike(MemoryMarshal.Cast<byte, ulong>(block).Slice((int)index, max)));
        }
    }

    private static int Alike<T>(ReadOnlySpan<T> entries)
        where T : struct, IEquatable<T>
    {
        int other = entries.IndexOfAnyExcept(entries[0]);
        return other < 0 ? entries.Length : other;
    }

    /// <summary>Sets an entry of a refcount block.</summary>
    public static void SetEntry(Span<byte> block, int order, long index, ulong value)
    {
        switch (order)
        {
            case < 3:
                int shift = (int)((index & ((1 << (3 - order)) - 1)) << order);
                ref byte place = ref block[(int)(index >> (3 - order))];
                place = (byte)((place & ~(((1 << (1 << order)) - 1) << shift)) | ((int)value << shift));
                break;
            case 3:
                block[(int)index] = (byte)value;
                break;
            case 4:
                BinaryPrimitives.WriteUInt16BigEndian(block[(int)(index * 2)..], (ushort)value);
                break;
            case 5:
                BinaryPrimitives.WriteUInt32BigEndian(block[(int)(index * 4)..], (uint)value);
                break;
            default:
                BinaryPrimitives.WriteUInt64BigEndian(block[(int)(index * 8)..], value);
                break;
        }
    }
}
