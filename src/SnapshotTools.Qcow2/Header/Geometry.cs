namespace SnapshotTools.Qcow2;

/// <summary>The sizes that follow from cluster size, refcount width and kind of L2 entry.</summary>
internal sealed class Geometry
{
    public Geometry(int clusterBits, int refcountOrder, bool extendedL2)
    {
        ClusterBits = clusterBits;
        RefcountOrder = refcountOrder;
        ExtendedL2 = extendedL2;
        L2EntryBits = extendedL2 ? 4 : 3;
        L2Bits = clusterBits - L2EntryBits;
        SubclusterBits = extendedL2 ? clusterBits - 5 : clusterBits;
        RefcountBlockBits = clusterBits + 3 - refcountOrder;
    }

    public Geometry(Qcow2Header header)
        : this(header.ClusterBits, header.RefcountOrder, header.ExtendedL2)
    {
    }

    public int ClusterBits { get; }

    public int ClusterSize => 1 << ClusterBits;

    public bool ExtendedL2 { get; }

    /// <summary>log2 of the bytes of an L2 entry.</summary>
    public int L2EntryBits { get; }

    /// <summary>log2 of the entries of an L2 table.</summary>
    public int L2Bits { get; }

    /// <summary>log2 of the guest bytes that one L2 table maps.</summary>
    public int L2CoverageBits => ClusterBits + L2Bits;

    /// <summary>log2 of the smallest unit that is allocated by itself: a subcluster, or a cluster.</summary>
    public int SubclusterBits { get; }

    public int RefcountOrder { get; }

    /// <summary>log2 of the entries of a refcount block.</summary>
    public int RefcountBlockBits { get; }

    /// <summary>The largest count that an entry can hold.</summary>
    public ulong MaxRefcount => RefcountOrder == 6 ? ulong.MaxValue : (1UL << (1 << RefcountOrder)) - 1;

    public long ClusterOf(long offset) => offset >> ClusterBits;

    public long OffsetInCluster(long offset) => offset & (ClusterSize - 1L);

    public bool IsAligned(long offset) => OffsetInCluster(offset) == 0;

    /// <summary>Clusters that hold so many bytes.</summary>
    public long ClustersFor(long bytes) => (bytes >> ClusterBits) + (OffsetInCluster(bytes) == 0 ? 0 : 1);

    /// <summary>L1 entries that a disk of this size needs.</summary>
    public long L1EntriesFor(long virtualSize) =>
        (virtualSize >> L2CoverageBits) + ((virtualSize & ((1L << L2CoverageBits) - 1)) == 0 ? 0 : 1);
}
