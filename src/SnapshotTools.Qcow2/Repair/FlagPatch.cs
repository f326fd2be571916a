using System.Buffers.Binary;

namespace SnapshotTools.Qcow2;

/// <summary>Corrects the flag "refcount is exactly one" in the active L1 table and in the L2 tables that it refers to.</summary>
internal sealed class FlagPatch(Examination image, RepairTargets targets)
{
    private readonly byte[] _table = new byte[image.Geometry.ClusterSize];

    /// <summary>Counts the flags that are to be set (or cleared).</summary>
    public long Count(bool set, CancellationToken cancellation) => Run(set, write: false, cancellation);

    /// <summary>Sets (or clears) them; the caller flushes.</summary>
    public void Apply(bool set, CancellationToken cancellation) => Run(set, write: true, cancellation);

    private long Run(bool set, bool write, CancellationToken cancellation)
    {
        long changes = 0;
        foreach ((int index, long table, bool copied) in image.ActiveL1)
        {
            if (targets.FlagOf(image.Geometry.ClusterOf(table), copied) != set) continue;
            changes++;
            if (write) WriteL1Entry(image.Header.L1Offset + (index * 8L), set);
        }
        foreach ((long offset, L2Use use) in image.L2Tables)
        {
            cancellation.ThrowIfCancellationRequested();
            if (use.Active) changes += RunTable(offset, set, write);
        }
        return changes;
    }

    private long RunTable(long offset, bool set, bool write)
    {
        int read = image.File.Read(offset, _table);
        _table.AsSpan(read).Clear();
        long changes = 0;
        for (int sector = 0; sector < _table.Length; sector += Limits.Sector)
        {
            Span<byte> entries = _table.AsSpan(sector, Limits.Sector);
            long before = changes;
            for (int at = 0; at < entries.Length; at += 1 << image.Geometry.L2EntryBits)
            {
                ulong entry = BinaryPrimitives.ReadUInt64BigEndian(entries[at..]);
                if (entry == 0 || FlagOf(entry) != set) continue;
                changes++;
                BinaryPrimitives.WriteUInt64BigEndian(entries[at..], set ? entry | L2Format.Copied : entry & ~L2Format.Copied);
            }
            if (write && changes > before) image.File.Write(offset + sector, entries);
        }
        return changes;
    }

    private bool? FlagOf(ulong entry)
    {
        bool present = (entry & L2Format.Copied) != 0;
        // Compressed data shares its clusters, and is never written in place.
        if ((entry & L2Format.Compressed) != 0) return present ? false : null;
        long host = L2Format.HostOffset(entry);
        return host == 0 || !image.Geometry.IsAligned(host) ? null : targets.FlagOf(image.Geometry.ClusterOf(host), present);
    }

    private void WriteL1Entry(long offset, bool set)
    {
        Span<byte> bytes = stackalloc byte[8];
        image.File.Read(offset, bytes);
        ulong entry = BinaryPrimitives.ReadUInt64BigEndian(bytes);
        BinaryPrimitives.WriteUInt64BigEndian(bytes, set ? entry | L2Format.Copied : entry & ~L2Format.Copied);
        image.File.Write(offset, bytes);
    }
}
