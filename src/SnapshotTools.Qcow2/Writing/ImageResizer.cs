using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>Changes the size of the guest's disk. The header's size is the one step that others see: what is behind the old end is
/// made zero before the disk grows, and what is behind the new end is given back after it shrank.</summary>
internal sealed class ImageResizer(WritableTables tables, ZeroWriter zeroes, IBlockFile file)
{
    private readonly Geometry _geometry = tables.Geometry;

    public void Resize(long newSize)
    {
        Qcow2Header header = tables.Header.Header;
        long oldSize = header.VirtualSize, entries = _geometry.L1EntriesFor(newSize);
        if (newSize == oldSize) return;
        if (header.Version == 2 && header.SnapshotCount > 0)
            throw new Qcow2Exception(Qcow2ErrorCode.UnsupportedFeature, file.Path, $"'{file.Path}' has internal snapshots, and as an image of version 2 does not record their sizes: it cannot be resized.");
        if (entries > Limits.MaxL1Bytes / 8)
            throw new Qcow2Exception(Qcow2ErrorCode.LimitExceeded, file.Path, $"'{file.Path}' cannot have {newSize} bytes: with clusters of {_geometry.ClusterSize} bytes its L1 table would be larger than {Limits.MaxL1Bytes >> 20} MiB.");
        tables.LeaveBitmaps(resizing: true);
        if (newSize > oldSize) Grow(oldSize, newSize, (int)entries);
        else Shrink(oldSize, newSize);
    }

    private void Grow(long oldSize, long newSize, int entries)
    {
        if (entries > tables.Map.L1.Entries) MoveL1(entries);
        tables.Layer.VirtualSize = newSize;
        try
        {
            // An earlier, larger size may have left data there, and a larger backing file would show through.
            zeroes.WriteZeroes(oldSize, newSize - oldSize);
            tables.Barrier();
            SetSize(newSize);
        }
        catch
        {
            tables.Layer.VirtualSize = oldSize;
            throw;
        }
    }

    private void Shrink(long oldSize, long newSize)
    {
        tables.Barrier();
        SetSize(newSize);
        tables.Layer.VirtualSize = newSize;
        long mask = _geometry.ClusterSize - 1L;
        zeroes.Forget((newSize + mask) & ~mask, (oldSize + mask) & ~mask);
        tables.Barrier();
    }

    private void SetSize(long size) =>
        tables.Sealed(() => tables.Header.Update(tables.Header.Header with { VirtualSize = size }));

    /// <summary>Writes a larger L1 table elsewhere and lets the header go over to it.</summary>
    private void MoveL1(int entries)
    {
        tables.Barrier();
        (long oldOffset, long oldClusters) = (tables.Map.L1.Offset, _geometry.ClustersFor(tables.Map.L1.Entries * 8L));
        int clusters = (int)_geometry.ClustersFor(entries * 8L);
        ClusterRun run = tables.Allocate(clusters, clusters);
        L1Table moved = tables.Map.L1.MoveTo(run.Cluster << _geometry.ClusterBits, entries);
        try
        {
            moved.WriteDirty();
        }
        catch
        {
            tables.Clusters.Undo(run);
            throw;
        }
        tables.BarrierOfCounts();
        tables.Sealed(() => tables.Header.Update(tables.Header.Header with { L1Offset = moved.Offset, L1Entries = entries }));
        tables.Map.L1 = moved;
        for (int i = 0; i < clusters; i++) tables.Clusters.Metadata.Add(run.Cluster + i);
        if (oldClusters > 0) tables.Clusters.Free(_geometry.ClusterOf(oldOffset), oldClusters);
    }
}
