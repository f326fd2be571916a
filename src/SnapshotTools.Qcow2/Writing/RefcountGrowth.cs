using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>Makes room in the refcount table: a larger one is written behind everything else, and the header goes over to it.</summary>
internal sealed class RefcountGrowth(IBlockFile file, WritableTables tables)
{
    private Geometry Geometry => tables.Geometry;

    private RefcountStore Counts => tables.Counts;

    private ClusterAllocator Clusters => tables.Clusters;

    /// <summary>Writes the larger table and the blocks that count it, and with them <paramref name="extra"/> adjacent clusters.</summary>
    /// <returns>The extra clusters.</returns>
    public ClusterRun Grow(int extra)
    {
        int firstBlock = Math.Max(Counts.TableEntries, Counts.BlockOf(Clusters.End + (1L << Geometry.RefcountBlockBits) - 1));
        long start = Counts.FirstCluster(firstBlock);
        long blocks = 1, tableClusters, total;
        while (true)
        {
            long entries = firstBlock + blocks;
            tableClusters = Math.Min(Geometry.ClustersFor((entries + (entries / 2)) * 8), Limits.MaxRefcountTableBytes >> Geometry.ClusterBits);
            total = blocks + tableClusters + extra;
            long needed = ((total - 1) >> Geometry.RefcountBlockBits) + 1;
            if (needed <= blocks) break;
            blocks = needed;
        }
        int tableEntries = (int)(tableClusters << (Geometry.ClusterBits - 3));
        if (firstBlock + blocks > tableEntries)
            throw new Qcow2Exception(Qcow2ErrorCode.LimitExceeded, file.Path, $"'{file.Path}' cannot grow: its refcount table has the largest size, for clusters of {Geometry.ClusterSize} bytes and counts of {1 << Geometry.RefcountOrder} bits.");

        var added = new List<RefcountBlock>();
        for (int i = 0; i < blocks; i++)
        {
            RefcountBlock block = Counts.Empty(firstBlock + i, start + i);
            long counted = Math.Min(start + total, Counts.FirstCluster(block.Index + 1)) - Counts.FirstCluster(block.Index);
            for (int entry = 0; entry < counted; entry++) block.Set(entry, 1);
            added.Add(block);
        }
        long table = (start + blocks) << Geometry.ClusterBits;
        (long oldTable, int oldClusters) = (Counts.TableOffset, tables.Header.Header.RefcountTableClusters);
        Clusters.MoveEnd(start + total);
        tables.Sealed(() =>
        {
            Clusters.ExtendFile();
            Counts.WriteNewBlocks();
            foreach (RefcountBlock block in added) file.Write(block.Offset, block.Bytes);
            file.Write(table, Counts.TableBytes(tableEntries, added));
            tables.Flush();
        }, again: true);
        tables.Sealed(() => tables.Header.Update(tables.Header.Header with { RefcountTableOffset = table, RefcountTableClusters = (int)tableClusters }));
        Counts.MoveTable(table, tableEntries, added);
        for (long cluster = start; cluster < start + blocks + tableClusters; cluster++) Clusters.Metadata.Add(cluster);
        Clusters.Free(Geometry.ClusterOf(oldTable), oldClusters);
        // Never written before, but the last bytes of the file were: extending made them zero.
        return new ClusterRun(start + blocks + tableClusters, extra, start);
    }
}
