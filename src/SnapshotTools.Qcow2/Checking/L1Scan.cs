using System.Buffers.Binary;

namespace SnapshotTools.Qcow2;

/// <summary>An L2 table that some L1 tables refer to.</summary>
/// <param name="References">How many L1 entries refer to it.</param>
/// <param name="L1Index">The L1 entry that refers to it: of the active table if one does.</param>
/// <param name="Active">Whether the active L1 table refers to it.</param>
internal readonly record struct L2Use(uint References, int L1Index, bool Active);

/// <summary>Reads the L1 tables (the active one and those of snapshots) and gathers the L2 tables that they refer to, so
/// that each of those is read only once, however many snapshots share it.</summary>
internal sealed class L1Scan(SparseReader reader, Geometry geometry, ReferenceCounts counts, FindingCollector findings)
{
    private const int PieceBytes = 64 << 10;

    /// <summary>About what an entry of the dictionary below costs.</summary>
    private const int UseBytes = 64;

    private readonly Dictionary<long, L2Use> _tables = [];
    private readonly List<(int Index, long Table, bool Copied)> _activeEntries = [];

    /// <summary>The L2 tables by their host offset.</summary>
    public IReadOnlyDictionary<long, L2Use> Tables => _tables;

    /// <summary>Entries of the active table: their index, the L2 table and the flag "refcount is exactly one".</summary>
    public IReadOnlyList<(int Index, long Table, bool Copied)> ActiveEntries => _activeEntries;

    /// <summary>Reads one table and counts it as referenced.</summary>
    /// <param name="name">What it is, for messages.</param>
    /// <param name="offset">Where it is.</param>
    /// <param name="entries">How many entries it has.</param>
    /// <param name="active">Whether it is the active table.</param>
    /// <param name="cancellation">Ends the scan.</param>
    public void Read(string name, long offset, int entries, bool active, CancellationToken cancellation)
    {
        if (entries == 0) return;
        if (!MetadataArea.Claim(name, offset, entries * 8L, reader, geometry, counts, findings)) return;
        byte[] piece = new byte[Math.Min(PieceBytes, entries * 8)];
        for (int first = 0; first < entries; first += PieceBytes / 8)
        {
            cancellation.ThrowIfCancellationRequested();
            Span<byte> bytes = piece.AsSpan(0, Math.Min(piece.Length, (entries - first) * 8));
            if (!reader.TryRead(offset + (first * 8L), bytes)) continue;
            for (int i = 0; i < bytes.Length; i += 8)
            {
                ulong entry = BinaryPrimitives.ReadUInt64BigEndian(bytes[i..]);
                if (entry != 0) Note(name, first + (i / 8), entry, active);
            }
        }
    }

    private void Note(string name, int index, ulong entry, bool active)
    {
        const ulong Flags = L2Format.Copied;
        long table = L2Format.HostOffset(entry);
        long guest = active ? (long)index << geometry.L2CoverageBits : -1;
        if ((entry & ~Flags) != (ulong)table)
            findings.AddError(CheckFindingKind.ReservedBits, table, guest, $"Entry {index} of the {name} (0x{entry:x16}) has reserved bits set.");
        if (table == 0)
        {
            if (entry == Flags) findings.AddError(CheckFindingKind.ReservedBits, -1, guest, $"Entry {index} of the {name} (0x{entry:x16}) has a flag and no table.");
            return;
        }
        if (!geometry.IsAligned(table))
        {
            findings.AddError(CheckFindingKind.Unaligned, table, guest, $"Entry {index} of the {name} places an L2 table at {table}, which is not the start of a cluster.", hidesReferences: true);
            return;
        }
        if (active) _activeEntries.Add((index, table, (entry & L2Format.Copied) != 0));
        if (table > reader.Length - geometry.ClusterSize)
        {
            // Counted all the same, so that repairing never hands out its place.
            counts.Add(geometry.ClusterOf(table), 1, ClusterUse.Data);
            findings.AddError(CheckFindingKind.OutOfFile, table, guest, $"Entry {index} of the {name} places an L2 table at {table}, past the end of the file at {reader.Length}.", hidesReferences: true);
            return;
        }
        if (!_tables.TryGetValue(table, out L2Use use))
        {
            counts.Charge(UseBytes);
            use = new L2Use(0, index, active);
        }
        _tables[table] = new L2Use(Math.Min(use.References + 1, int.MaxValue), active && !use.Active ? index : use.L1Index, active || use.Active);
    }
}
