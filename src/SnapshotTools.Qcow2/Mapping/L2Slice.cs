using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace SnapshotTools.Qcow2;

/// <summary>A part of an L2 table in memory, in the file's byte order.</summary>
/// <param name="index">Which part of the guest's disk it maps: the guest offset divided by what a slice maps.</param>
/// <param name="hostOffset">Where it is in the file.</param>
/// <param name="bytes">Its content.</param>
internal sealed class L2Slice(long index, long hostOffset, byte[] bytes)
{
    private int _dirtyFrom = int.MaxValue;
    private int _dirtyTo;

    public long Index { get; } = index;

    public long HostOffset { get; set; } = hostOffset;

    public byte[] Bytes { get; } = bytes;

    public bool IsDirty => _dirtyTo > 0;

    /// <summary>The part to be written, in whole sectors.</summary>
    public (int From, int To) DirtyRange =>
        (_dirtyFrom & ~(Limits.Sector - 1), Math.Min(Bytes.Length, (_dirtyTo + Limits.Sector - 1) & ~(Limits.Sector - 1)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Word(int byteOffset) => BinaryPrimitives.ReadUInt64BigEndian(Bytes.AsSpan(byteOffset));

    /// <summary>How many words from one on are equal to it.</summary>
    public int AlikeFrom(int byteOffset)
    {
        ReadOnlySpan<ulong> words = MemoryMarshal.Cast<byte, ulong>(Bytes.AsSpan(byteOffset));
        int other = words.IndexOfAnyExcept(words[0]);
        return other < 0 ? words.Length : other;
    }

    public void SetWord(int byteOffset, ulong value)
    {
        BinaryPrimitives.WriteUInt64BigEndian(Bytes.AsSpan(byteOffset), value);
        _dirtyFrom = Math.Min(_dirtyFrom, byteOffset);
        _dirtyTo = Math.Max(_dirtyTo, byteOffset + 8);
    }

    public void MarkClean() => (_dirtyFrom, _dirtyTo) = (int.MaxValue, 0);
}
