namespace SnapshotTools.Qcow2;

/// <summary>Bounds of what is read from a file that nobody has checked. Where QEMU has a limit, ours is the same, so that
/// an image is never taken by one and refused by the other without need.</summary>
internal static class Limits
{
    /// <summary>Clusters of 512 bytes: the smallest of the specification.</summary>
    public const int MinClusterBits = 9;

    /// <summary>Clusters of 2 MiB: the largest that QEMU opens.</summary>
    public const int MaxClusterBits = 21;

    /// <summary>Extended L2 entries need subclusters of at least 512 bytes.</summary>
    public const int MinExtendedL2ClusterBits = 14;

    /// <summary>Counts of 64 bits.</summary>
    public const int MaxRefcountOrder = 6;

    /// <summary>Bytes of an L1 table (QEMU: QCOW_MAX_L1_SIZE).</summary>
    public const long MaxL1Bytes = 32L << 20;

    /// <summary>Bytes of a refcount table (QEMU: QCOW_MAX_REFTABLE_SIZE).</summary>
    public const long MaxRefcountTableBytes = 8L << 20;

    /// <summary>Internal snapshots (QEMU: QCOW_MAX_SNAPSHOTS).</summary>
    public const int MaxSnapshots = 65536;

    /// <summary>Bytes of the name of a backing file.</summary>
    public const int MaxBackingNameBytes = 1023;

    /// <summary>Host offsets have 56 bits in L1 and L2 entries.</summary>
    public const long MaxHostOffset = 1L << 56;

    /// <summary>Files of one chain. Real chains are far shorter; each file costs a descriptor.</summary>
    public const int MaxChainLength = 16384;

    /// <summary>A sector: what a disk writes wholly or not at all.</summary>
    public const int Sector = 512;
}
