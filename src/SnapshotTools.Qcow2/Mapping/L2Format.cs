using System.Runtime.CompilerServices;

namespace SnapshotTools.Qcow2;

/// <summary>What an L2 entry of 64 bits says (qcow2 specification, "Cluster mapping").</summary>
internal enum ClusterKind
{
    Unallocated,
    Data,
    Zero,
    Compressed,

    /// <summary>Reserved bits are set, or the offset does not begin at a cluster.</summary>
    Invalid,
}

/// <summary>How L1 and L2 entries are read and made, for one version, cluster size and kind of entry.</summary>
internal sealed class L2Format
{
    /// <summary>Set where the reference count of the table or cluster is exactly one: it may be written in place.</summary>
    public const ulong Copied = 1UL << 63;

    /// <summary>Set for a compressed cluster.</summary>
    public const ulong Compressed = 1UL << 62;

    /// <summary>Set for a cluster that reads as zeroes (version 3, entries of 64 bits).</summary>
    public const ulong Zero = 1;

    private const ulong OffsetMask = 0x00FF_FFFF_FFFF_FE00;
    private const ulong L1Reserved = 0x7F00_0000_0000_01FF;
    private const ulong L2Reserved = 0x3F00_0000_0000_01FE;

    private readonly ulong _invalid;
    private readonly ulong _l1Invalid;
    private readonly int _clusterBits;

    public L2Format(Geometry geometry, int version)
    {
        ulong unaligned = OffsetMask & (ulong)(geometry.ClusterSize - 1);
        _l1Invalid = L1Reserved | unaligned;
        _invalid = L2Reserved | unaligned | (version == 2 || geometry.ExtendedL2 ? Zero : 0);
        _clusterBits = geometry.ClusterBits;
    }

    /// <summary>The host offset in an L1 entry or in an L2 entry of a standard cluster.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long HostOffset(ulong entry) => (long)(entry & OffsetMask);

    public bool IsValidL1(ulong entry) => (entry & _l1Invalid) == 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ClusterKind KindOf(ulong entry)
    {
        if (entry == 0) return ClusterKind.Unallocated;
        if ((entry & Compressed) != 0)
            return (entry & Copied) == 0 && CompressedRange.FromEntry(entry, _clusterBits).Offset < Limits.MaxHostOffset ? ClusterKind.Compressed : ClusterKind.Invalid;
        if ((entry & _invalid) != 0) return ClusterKind.Invalid;
        if ((entry & OffsetMask) == 0) return (entry & Copied) != 0 ? ClusterKind.Invalid : ClusterKind.Zero;
        return (entry & Zero) != 0 ? ClusterKind.Zero : ClusterKind.Data;
    }

    /// <summary>Whether the subcluster bitmap of an extended entry can stand beside its first half.</summary>
    public static bool IsValidBitmap(ulong entry, ulong bitmap) =>
        ((uint)bitmap & (uint)(bitmap >> 32)) == 0 && ((uint)bitmap == 0 || HostOffset(entry) != 0);
}
