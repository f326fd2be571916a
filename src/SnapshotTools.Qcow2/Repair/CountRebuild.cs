using System.Buffers.Binary;

namespace SnapshotTools.Qcow2;

/// <summary>
/// Writes a new refcount table with its blocks behind everything that is in use, then switches the header to it in one
/// sector. Until then the image is as before, but for a longer file.
/// </summary>
internal sealed class CountRebuild
{
    private readonly Examination _image;
    private readonly RepairTargets _targets;
    private readonly Geometry _geometry;

    public CountRebuild(Examination image, RepairTargets targets) => (_image, _targets, _geometry) = (image, targets, image.Geometry);

    private static long MaxTableEntries => Limits.MaxRefcountTableBytes / 8;

    private int BlockBits => _geometry.RefcountBlockBits;

    /// <summary>Whether new structures can be appended: a table of the largest size must be able to count them, and no damaged entry
    /// may point to where they would be, or in between: what is past the end must not become part of the file, and its loss unseen.</summary>
    public bool IsPossible => TryPlan() is not null;

    /// <summary>Writes the new structures and switches to them. Durable when it returns.</summary>
    public void Apply(CancellationToken cancellation)
    {
        long oldLength = _image.File.Length;
        AbandonOld();
        Layout layout = TryPlan() ?? throw new InvalidOperationException("A rebuild was planned that is not possible.");
        try
        {
            _image.File.SetLength(Math.Max(oldLength, layout.End << _geometry.ClusterBits));
            WriteBlocks(layout, cancellation);
            WriteTable(layout);
            _image.File.Flush();
            WriteHeader(layout.Start << _geometry.ClusterBits, layout.TableClusters);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            TryUndo(oldLength);
            throw;
        }
        // Whether the header is durable when this fails is not known: the old and the new structures are both whole.
        _image.File.Flush();
    }

    /// <summary>The clusters of the old table and blocks are free once the header names the new ones.</summary>
    private void AbandonOld()
    {
        RefcountTable old = _image.Refcounts!;
        if (old.Length == 0) return;
        long first = _geometry.ClusterOf(_image.Header.RefcountTableOffset);
        for (int i = 0; i < _image.Header.RefcountTableClusters; i++) _targets.Abandon(first + i);
        for (int i = 0; i < old.Length; i++)
            if (old.BlockOffset(i) != 0) _targets.Abandon(_geometry.ClusterOf(old.BlockOffset(i)));
    }

    private Layout? TryPlan()
    {
        SortedSet<long> blocks = UsedBlocks();
        long start = _geometry.ClustersFor(_image.File.Length);
        for (long clusters = 1; ;)
        {
            long end = start + clusters;
            for (long block = start >> BlockBits; block <= (end - 1) >> BlockBits; block++) blocks.Add(block);
            long tableClusters = _geometry.ClustersFor((blocks.Max + 1) * 8);
            if (blocks.Max >= MaxTableEntries || IsReferred(start, end)) return null;
            long needed = tableClusters + blocks.Count;
            if (needed <= clusters) return new Layout(start, start + needed, (int)tableClusters, [.. blocks]);
            clusters = needed;
        }
    }

    private bool IsReferred(long start, long end)
    {
        for (long cluster = start; cluster < end; cluster++)
            if (_image.Counts.Get(cluster) != 0) return true;
        return false;
    }

    /// <summary>The ranges in which some count is not 0. What the largest table cannot count lies far past the end of the
    /// file, and is damage that remains.</summary>
    private SortedSet<long> UsedBlocks()
    {
        SortedSet<long> blocks = [];
        foreach (long page in _image.Counts.PageNumbers) AddUsed(blocks, page << ReferenceCounts.PageBits, ReferenceCounts.PageClusters);
        RefcountTable old = _image.Refcounts!;
        for (int i = 0; i < old.Length; i++)
            if (old.BlockOffset(i) != 0) AddUsed(blocks, (long)i << BlockBits, 1L << BlockBits);
        return blocks;
    }

    private void AddUsed(SortedSet<long> blocks, long first, long count)
    {
        for (long cluster = first; cluster < first + count;)
        {
            long block = cluster >> BlockBits, end = (block + 1) << BlockBits;
            if (block >= MaxTableEntries) return;
            bool used = blocks.Contains(block);
            for (; !used && cluster < Math.Min(end, first + count); cluster++) used = _targets.CountOf(cluster) != 0;
            if (used) blocks.Add(block);
            cluster = end;
        }
    }

    private void WriteBlocks(Layout layout, CancellationToken cancellation)
    {
        byte[] bytes = new byte[_geometry.ClusterSize];
        for (int i = 0; i < layout.Blocks.Length; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            bytes.AsSpan().Clear();
            long first = layout.Blocks[i] << BlockBits;
            for (long within = 0; within < 1L << BlockBits; within++)
            {
                long cluster = first + within;
                ulong count = cluster >= layout.Start && cluster < layout.End ? 1 : _targets.CountOf(cluster);
                if (count != 0) RefcountTable.SetEntry(bytes, _geometry.RefcountOrder, within, count);
            }
            _image.File.Write(layout.BlockOffset(i) << _geometry.ClusterBits, bytes);
        }
    }

    private void WriteTable(Layout layout)
    {
        byte[] bytes = new byte[(long)layout.TableClusters << _geometry.ClusterBits];
        for (int i = 0; i < layout.Blocks.Length; i++)
            BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan((int)layout.Blocks[i] * 8), layout.BlockOffset(i) << _geometry.ClusterBits);
        _image.File.Write(layout.Start << _geometry.ClusterBits, bytes);
    }

    /// <summary>Header bytes 48 to 59: where the table is and how long. They are in one sector.</summary>
    private void WriteHeader(long offset, int clusters)
    {
        Span<byte> bytes = stackalloc byte[12];
        BinaryPrimitives.WriteInt64BigEndian(bytes, offset);
        BinaryPrimitives.WriteInt32BigEndian(bytes[8..], clusters);
        _image.File.Write(48, bytes);
    }

    private void TryUndo(long length)
    {
        try
        {
            WriteHeader(_image.Header.RefcountTableOffset, _image.Header.RefcountTableClusters);
            _image.File.SetLength(length);
        }
        catch (IOException)
        {
            // The first error is the one to tell.
        }
    }

    /// <summary>Where the new structures go, in clusters: the table, then its blocks.</summary>
    private sealed record Layout(long Start, long End, int TableClusters, long[] Blocks)
    {
        public long BlockOffset(int i) => Start + TableClusters + i;
    }
}
