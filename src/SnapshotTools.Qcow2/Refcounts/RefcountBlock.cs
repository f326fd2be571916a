using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace SnapshotTools.Qcow2;

/// <summary>A refcount block in memory, in the file's byte order (qcow2 specification, "Host cluster management").</summary>
internal sealed class RefcountBlock(int index, long offset, byte[] bytes, int order)
{
    private int _dirtyFrom = int.MaxValue;
    private int _dirtyTo;

    /// <summary>Its entry in the refcount table.</summary>
    public int Index { get; } = index;

    /// <summary>Where it is in the file.</summary>
    public long Offset { get; } = offset;

    public byte[] Bytes { get; } = bytes;

    public int Entries => (Bytes.Length << 3) >> order;

    public bool IsDirty => _dirtyTo > 0;

    /// <summary>When it was last used, for the choice of what to drop.</summary>
    public long LastUse { get; set; }

    public (int From, int To) DirtyRange =>
        (_dirtyFrom & ~(Limits.Sector - 1), Math.Min(Bytes.Length, (_dirtyTo + Limits.Sector - 1) & ~(Limits.Sector - 1)));

    public void MarkClean() => (_dirtyFrom, _dirtyTo) = (int.MaxValue, 0);

    public ulong Get(int entry) => order switch
    {
        3 => Bytes[entry],
        4 => BinaryPrimitives.ReadUInt16BigEndian(Bytes.AsSpan(entry * 2)),
        5 => BinaryPrimitives.ReadUInt32BigEndian(Bytes.AsSpan(entry * 4)),
        6 => BinaryPrimitives.ReadUInt64BigEndian(Bytes.AsSpan(entry * 8)),
        _ => (ulong)(Bytes[entry >> (3 - order)] >> BitOf(entry)) & SmallMask,
    };

    public void Set(int entry, ulong value)
    {
        int at = (entry << order) >> 3, width = Math.Max(1, (1 << order) >> 3);
        switch (order)
        {
            case 3: Bytes[at] = (byte)value; break;
            case 4: BinaryPrimitives.WriteUInt16BigEndian(Bytes.AsSpan(at), (ushort)value); break;
            case 5: BinaryPrimitives.WriteUInt32BigEndian(Bytes.AsSpan(at), (uint)value); break;
            case 6: BinaryPrimitives.WriteUInt64BigEndian(Bytes.AsSpan(at), value); break;
            default: Bytes[at] = (byte)((Bytes[at] & ~((int)SmallMask << BitOf(entry))) | ((int)value << BitOf(entry))); break;
        }
        _dirtyFrom = Math.Min(_dirtyFrom, at);
        _dirtyTo = Math.Max(_dirtyTo, at + width);
    }

    /// <summary>The first entry at or after <paramref name="from"/> that is 0, or -1.</summary>
    public int FindFree(int from)
    {
        int found = order switch
        {
            3 => Bytes.AsSpan(from).IndexOf((byte)0),
            4 => MemoryMarshal.Cast<byte, ushort>(Bytes.AsSpan(from * 2)).IndexOf((ushort)0),
            5 => MemoryMarshal.Cast<byte, uint>(Bytes.AsSpan(from * 4)).IndexOf(0u),
            6 => MemoryMarshal.Cast<byte, ulong>(Bytes.AsSpan(from * 8)).IndexOf(0ul),
            _ => FindFreeSmall(from) - from,
        };
        return found < 0 ? -1 : from + found;
    }

    private ulong SmallMask => (1UL << (1 << order)) - 1;

    private int BitOf(int entry) => (entry & ((8 >> order) - 1)) << order;

    private int FindFreeSmall(int from)
    {
        for (int entry = from; entry < Entries; entry++)
        {
            // A byte of all ones holds no 0; it is the usual case of a full block of counts of one bit.
            if ((entry & ((8 >> order) - 1)) == 0 && Bytes[entry >> (3 - order)] == 0xFF) entry += (8 >> order) - 1;
            else if (Get(entry) == 0) return entry;
        }
        return -1;
    }
}
