using System.Buffers.Binary;
using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>The L1 table of a layer or of one of its internal snapshots, read piece by piece when first needed: a small
/// file may claim a table of 32 MiB, and a chain may have a thousand of them.</summary>
internal sealed class L1Table
{
    private const int PieceBits = 9;
    private const int PieceEntries = 1 << PieceBits;

    /// <summary>Stands for every piece without an entry, so that a sparse file cannot claim memory by the size of its table.</summary>
    private static readonly ulong[] Empty = new ulong[PieceEntries];

    private readonly IBlockFile _file;
    private readonly ulong[]?[] _pieces;
    private readonly SortedSet<int> _dirty = [];

    public L1Table(IBlockFile file, long offset, int entries)
    {
        _file = file;
        Offset = offset;
        Entries = entries;
        _pieces = new ulong[]?[(entries + PieceEntries - 1) >> PieceBits];
    }

    /// <summary>Where it is in the file.</summary>
    public long Offset { get; }

    public int Entries { get; }

    public bool IsDirty => _dirty.Count > 0;

    public ulong this[int index] => (_pieces[index >> PieceBits] ?? Load(index >> PieceBits))[index & (PieceEntries - 1)];

    /// <summary>Changes an entry in memory until <see cref="WriteDirty"/>.</summary>
    public void Set(int index, ulong value)
    {
        ulong[] piece = _pieces[index >> PieceBits] ?? Load(index >> PieceBits);
        if (piece == Empty) _pieces[index >> PieceBits] = piece = new ulong[PieceEntries];
        piece[index & (PieceEntries - 1)] = value;
        _dirty.Add(index);
    }

    /// <summary>Writes the entries that were changed, adjacent ones together.</summary>
    public void WriteDirty()
    {
        Span<byte> bytes = stackalloc byte[PieceEntries * 8];
        int first = -1, count = 0;
        foreach (int index in _dirty)
        {
            if (count > 0 && (index != first + count || count == PieceEntries))
            {
                _file.Write(Offset + (first * 8L), bytes[..(count * 8)]);
                count = 0;
            }
            if (count == 0) first = index;
            BinaryPrimitives.WriteUInt64BigEndian(bytes[(count++ * 8)..], this[index]);
        }
        if (count > 0) _file.Write(Offset + (first * 8L), bytes[..(count * 8)]);
        _dirty.Clear();
    }

    /// <summary>The table at another place and of another size, with the same entries, not written yet.</summary>
    public L1Table MoveTo(long offset, int entries)
    {
        var moved = new L1Table(_file, offset, entries);
        for (int i = 0; i < moved._pieces.Length; i++) moved._pieces[i] = new ulong[PieceEntries];
        for (int i = 0; i < Math.Min(Entries, entries); i++)
            if (this[i] != 0) moved._pieces[i >> PieceBits]![i & (PieceEntries - 1)] = this[i];
        for (int i = 0; i < entries; i++) moved._dirty.Add(i);
        return moved;
    }

    private ulong[] Load(int piece)
    {
        int count = Math.Min(PieceEntries, Entries - (piece << PieceBits));
        Span<byte> bytes = stackalloc byte[PieceEntries * 8];
        bytes = bytes[..(count * 8)];
        if (_file.Read(Offset + ((long)piece << (PieceBits + 3)), bytes) < bytes.Length)
            throw new Qcow2Exception(Qcow2ErrorCode.Truncated, _file.Path, $"'{_file.Path}' ends within its L1 table.");
        ulong[] entries = bytes.ContainsAnyExcept((byte)0) ? new ulong[PieceEntries] : Empty;
        for (int i = 0; entries != Empty && i < count; i++) entries[i] = BinaryPrimitives.ReadUInt64BigEndian(bytes[(i * 8)..]);
        // Two readers may load one piece at once; the first to store it wins, so that a writer's change is never lost.
        return Interlocked.CompareExchange(ref _pieces[piece], entries, null) ?? entries;
    }
}
