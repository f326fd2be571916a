namespace SnapshotTools.Qcow2;

/// <summary>Where the data of a compressed cluster lies in the file (qcow2 specification, "Compressed Clusters Descriptor").</summary>
/// <param name="Offset">Its first byte; not aligned to anything.</param>
/// <param name="Count">Bytes up to the end of its last sector: the data may end earlier, and another cluster's may begin there.</param>
internal readonly record struct CompressedRange(long Offset, int Count)
{
    private const int SectorBits = 9;

    /// <summary>The first byte after the last sector.</summary>
    public long End => Offset + Count;

    /// <summary>Start of the first sector, from which the range is counted in the refcounts.</summary>
    public long FirstSector => Offset & ~(Limits.Sector - 1L);

    /// <summary>Splits the L2 entry of a compressed cluster. The number of sectors has cluster_bits - 8 bits, so that the
    /// range is never longer than two clusters.</summary>
    public static CompressedRange FromEntry(ulong l2Entry, int clusterBits)
    {
        int offsetBits = 62 - (clusterBits - 8);
        ulong descriptor = l2Entry & ((1UL << 62) - 1);
        long offset = (long)(descriptor & ((1UL << offsetBits) - 1));
        long sectors = (long)(descriptor >> offsetBits) + 1;
        return new CompressedRange(offset, (int)((sectors << SectorBits) - (offset & (Limits.Sector - 1))));
    }
}
