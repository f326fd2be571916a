using System.Buffers.Binary;
using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>The reference counts of an image that is being written: table and blocks, changed in memory and written when
/// <see cref="WritableTables"/> says so.</summary>
internal sealed class RefcountStore
{
    /// <summary>Memory for blocks that are not changed; changed ones stay until they are written.</summary>
    private const int CleanBytes = 4 << 20;

    private readonly IBlockFile _file;
    private readonly Geometry _geometry;
    private readonly Dictionary<int, RefcountBlock> _blocks = [];
    private readonly List<RefcountBlock> _new = [];
    private readonly SortedSet<int> _dirtyEntries = [];
    private ulong[] _table;
    private long _clock;

    public RefcountStore(IBlockFile file, Qcow2Header header, Geometry geometry)
    {
        _file = file;
        _geometry = geometry;
        TableOffset = header.RefcountTableOffset;
        byte[] bytes = new byte[(long)header.RefcountTableClusters << geometry.ClusterBits];
        if (file.Read(TableOffset, bytes) < bytes.Length)
            throw new Qcow2Exception(Qcow2ErrorCode.Truncated, file.Path, $"'{file.Path}' ends within its refcount table.");
        _table = new ulong[bytes.Length / 8];
        for (int i = 0; i < _table.Length; i++) _table[i] = BinaryPrimitives.ReadUInt64BigEndian(bytes.AsSpan(i * 8));
    }

    public long TableOffset { get; private set; }

    /// <summary>Blocks that the table has room for.</summary>
    public int TableEntries => _table.Length;

    /// <summary>Blocks that the table on disk does not name yet and that are not written.</summary>
    public bool HasNewBlocks => _new.Count > 0;

    /// <summary>Bytes of changed blocks.</summary>
    public long DirtyBytes { get; private set; }

    public bool IsDirty => DirtyBytes > 0 || _new.Count > 0 || _dirtyEntries.Count > 0;

    /// <summary>Host offsets of all blocks.</summary>
    public IEnumerable<long> BlockOffsets => _table.Where(e => e != 0).Select(e => (long)e);

    public int BlockOf(long cluster) => (int)Math.Min(cluster >> _geometry.RefcountBlockBits, int.MaxValue);

    public int EntryOf(long cluster) => (int)(cluster & ((1L << _geometry.RefcountBlockBits) - 1));

    public long FirstCluster(int block) => (long)block << _geometry.RefcountBlockBits;

    public ulong Get(long cluster) => Find(BlockOf(cluster))?.Get(EntryOf(cluster)) ?? 0;

    /// <summary>Changes a count whose block exists.</summary>
    public void Set(long cluster, ulong count)
    {
        RefcountBlock block = Find(BlockOf(cluster)) ?? throw new InvalidOperationException($"Cluster {cluster} has no refcount block.");
        if (!block.IsDirty) DirtyBytes += block.Bytes.Length;
        block.Set(EntryOf(cluster), count);
    }

    /// <summary>The block of a table entry; null where there is none.</summary>
    public RefcountBlock? Find(int index)
    {
        if (!_blocks.TryGetValue(index, out RefcountBlock? block))
        {
            if (index >= _table.Length || _table[index] == 0) return null;
            block = Load(index);
        }
        block.LastUse = ++_clock;
        return block;
    }

    /// <summary>Whether a cluster from this one on has a count.</summary>
    public bool HasCountsFrom(long cluster)
    {
        for (int index = BlockOf(cluster); index < _table.Length; index++)
        {
            if (_table[index] == 0 || _table[index] >= (ulong)_file.Length) continue;
            for (int entry = index == BlockOf(cluster) ? EntryOf(cluster) : 0; entry < 1 << _geometry.RefcountBlockBits; entry++)
                if (Find(index)!.Get(entry) != 0) return true;
        }
        return false;
    }

    /// <summary>Makes an empty block in a cluster that it counts itself, so that no other block need be changed before it is used.</summary>
    public RefcountBlock Add(int index, long cluster)
    {
        RefcountBlock block = Empty(index, cluster);
        _blocks.Add(index, block);
        _new.Add(block);
        _table[index] = (ulong)block.Offset;
        Set(cluster, 1);
        return block;
    }

    public RefcountBlock Empty(int index, long cluster) =>
        new(index, cluster << _geometry.ClusterBits, new byte[_geometry.ClusterSize], _geometry.RefcountOrder) { LastUse = ++_clock };

    /// <summary>Writes the new blocks. They must be durable before <see cref="PublishNewBlocks"/>.</summary>
    public void WriteNewBlocks()
    {
        foreach (RefcountBlock block in _new) _file.Write(block.Offset, block.Bytes);
    }

    /// <summary>Lets <see cref="WriteDirty"/> name the new blocks in the table.</summary>
    public void PublishNewBlocks()
    {
        foreach (RefcountBlock block in _new)
        {
            _dirtyEntries.Add(block.Index);
            Clean(block);
        }
        _new.Clear();
    }

    /// <summary>Writes the changed blocks that the table on disk names, or is about to, and those entries of the table.</summary>
    public void WriteDirty()
    {
        foreach (RefcountBlock block in _blocks.Values)
        {
            if (!block.IsDirty || _new.Contains(block)) continue;
            (int from, int to) = block.DirtyRange;
            _file.Write(block.Offset + from, block.Bytes.AsSpan(from, to - from));
            Clean(block);
        }
        Span<byte> entry = stackalloc byte[8];
        foreach (int index in _dirtyEntries)
        {
            BinaryPrimitives.WriteUInt64BigEndian(entry, _table[index]);
            _file.Write(TableOffset + (index * 8L), entry);
        }
        _dirtyEntries.Clear();
        DropSurplus();
    }

    /// <summary>The table's bytes with more blocks and with room for more, to be written elsewhere.</summary>
    public byte[] TableBytes(int entries, IEnumerable<RefcountBlock> more)
    {
        byte[] bytes = new byte[entries * 8];
        for (int i = 0; i < _table.Length; i++) BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(i * 8), _table[i]);
        foreach (RefcountBlock block in more) BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(block.Index * 8), (ulong)block.Offset);
        return bytes;
    }

    /// <summary>Goes over to a table elsewhere, which is durable with all blocks that it names.</summary>
    public void MoveTable(long offset, int entries, IEnumerable<RefcountBlock> more)
    {
        TableOffset = offset;
        Array.Resize(ref _table, entries);
        foreach (RefcountBlock block in _new) Clean(block);
        _new.Clear();
        _dirtyEntries.Clear();
        foreach (RefcountBlock block in more)
        {
            block.MarkClean();
            _table[block.Index] = (ulong)block.Offset;
            _blocks.Add(block.Index, block);
        }
    }

    private RefcountBlock Load(int index)
    {
        ulong entry = _table[index];
        if (entry >= (ulong)Limits.MaxHostOffset || !_geometry.IsAligned((long)entry))
            throw new Qcow2Exception(Qcow2ErrorCode.InvalidRefcount, _file.Path, $"Entry {index} of the refcount table of '{_file.Path}' is impossible: 0x{entry:x16}. Repair the image.");
        byte[] bytes = new byte[_geometry.ClusterSize];
        if (_file.Read((long)entry, bytes) < bytes.Length)
            throw new Qcow2Exception(Qcow2ErrorCode.Truncated, _file.Path, $"'{_file.Path}' ends within a refcount block, at {_file.Length}.");
        var block = new RefcountBlock(index, (long)entry, bytes, _geometry.RefcountOrder);
        _blocks.Add(index, block);
        return block;
    }

    private void Clean(RefcountBlock block)
    {
        if (block.IsDirty) DirtyBytes -= block.Bytes.Length;
        block.MarkClean();
    }

    private void DropSurplus()
    {
        int keep = Math.Max(4, CleanBytes >> _geometry.ClusterBits);
        if (_blocks.Count <= 2 * keep) return;
        foreach (RefcountBlock block in _blocks.Values.Where(b => !b.IsDirty).OrderByDescending(b => b.LastUse).Skip(keep).ToList())
            _blocks.Remove(block.Index);
    }
}
