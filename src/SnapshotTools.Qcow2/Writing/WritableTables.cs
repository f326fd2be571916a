using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>The tables of an image that is being written, and the order in which they reach the disk.</summary>
/// <remarks>
/// <para>Data is written at once, into clusters that nothing refers to or that only this place refers to; what refers to it,
/// and counts it, is collected in memory until <see cref="Barrier"/>. Between two flushes the disk may keep any part
/// of what was written, so that a barrier goes in steps, each flushed before the next:</para>
/// <list type="number">
/// <item>refcount blocks that no table names yet (only when there are any);</item>
/// <item>counts of what was given out, the names of those blocks, and L2 tables that nothing refers to yet; with them all data;</item>
/// <item>what refers to data and tables: entries of L2 tables and of the L1 table;</item>
/// <item>only now that nothing refers to it, what was replaced or discarded is counted down, its space given back and used anew.</item>
/// </list>
/// <para>So at every instant what is referred to is counted and holds what it should; at worst something is counted that nothing
/// refers to. Moves of the L1 table or refcount table are made the same way, with the header's first sector as the last step.</para>
/// </remarks>
internal sealed class WritableTables
{
    private readonly IBlockFile _file;
    private readonly HashSet<int> _exclusive = [];
    private readonly RefcountGrowth _refcounts;
    private readonly long _dirtyLimit;
    private Exception? _failure;
    private bool _prepared;

    public WritableTables(IBlockFile file, HeaderStore header, Qcow2Layer layer, long cacheBytes)
    {
        _file = file;
        Header = header;
        Layer = layer;
        Counts = new RefcountStore(file, header.Header, layer.Geometry);
        Clusters = new ClusterAllocator(file, layer.Geometry, Counts);
        _refcounts = new RefcountGrowth(file, this);
        _dirtyLimit = Math.Max(cacheBytes / 2, 1 << 20);
    }

    public HeaderStore Header { get; }

    public Qcow2Layer Layer { get; }

    public Geometry Geometry => Layer.Geometry;

    public LayerMap Map => Layer.Map;

    public RefcountStore Counts { get; }

    public ClusterAllocator Clusters { get; }

    /// <summary>Whether a failure left unknown what is on disk.</summary>
    public bool Failed => _failure is not null;

    /// <summary>Called before each change: refuses after a failure; before the first change learns where the tables are, and clears
    /// the features that vouch for what this library does not keep up, such as bitmaps.</summary>
    public void Prepare()
    {
        RequireSound();
        if (_prepared) return;
        NoteMetadata();
        LeaveBitmaps(resizing: false);
        _prepared = true;
    }

    /// <summary>Marks the bitmaps that should note the changes to come as not kept up (all of them before a change of size), and clears the bits
    /// of features that are not known here. Durable when it returns.</summary>
    public void LeaveBitmaps(bool resizing)
    {
        const ulong BitmapsConsistent = 1;
        ulong features = Header.Header.AutoclearFeatures;
        if (features == 0) return;
        Sealed(() =>
        {
            bool marked = (features & BitmapsConsistent) != 0 && BitmapMarks.TryMarkInUse(_file, Header.Header, Header.Extensions, all: resizing);
            ulong kept = marked ? BitmapsConsistent : 0;
            if (features != kept) Header.Update(Header.Header with { AutoclearFeatures = kept });
            else Flush();
        });
    }

    /// <summary>Refuses after a failure that leaves unknown what is on disk.</summary>
    public void RequireSound()
    {
        if (_failure is null) return;
        throw new Qcow2Exception(
            Qcow2ErrorCode.Poisoned,
            _file.Path,
            $"An earlier write of '{_file.Path}' failed ({_failure.Message}), so that what is on disk is not known. Close the image and open it again; what was flushed before is there.",
            _failure);
    }

    /// <summary>Gives out adjacent clusters, at least <paramref name="min"/> and up to <paramref name="wanted"/>.</summary>
    public ClusterRun Allocate(int min, int wanted)
    {
        if (min < 1 << Math.Min(Geometry.RefcountBlockBits - 1, 30))
        {
            if (Clusters.TryAllocate(min, wanted) is { } run) return run;
            _refcounts.Grow(extra: 0);
            return Clusters.TryAllocate(min, wanted) ?? throw new InvalidOperationException("A larger refcount table has no room.");
        }
        return _refcounts.Grow(extra: min);
    }

    /// <summary>The slice for a guest offset in an L2 table that only the active L1 table refers to, made or copied when needed.</summary>
    public L2Slice SliceForWrite(long offset)
    {
        int index = Map.L1Index(offset);
        if (!_exclusive.Contains(index))
        {
            long table = Map.TableOffset(index);
            if (table < 0) MakeTable(index);
            else if ((Map.L1[index] & L2Format.Copied) == 0) CopyTable(index, table);
            else Clusters.RequireCountOne(Geometry.ClusterOf(table));
            _exclusive.Add(index);
        }
        return Map.Find(offset)!;
    }

    /// <summary>Changes an L2 entry in memory.</summary>
    public void SetEntry(L2Slice slice, int at, ulong entry)
    {
        slice.SetWord(at, entry);
        Map.MarkDirty(slice);
    }

    /// <summary>Takes back what an entry refers to.</summary>
    public void FreeOld(ulong entry)
    {
        if ((entry & L2Format.Compressed) != 0)
        {
            CompressedRange range = CompressedRange.FromEntry(entry, Geometry.ClusterBits);
            long first = Geometry.ClusterOf(range.FirstSector);
            Clusters.Free(first, Geometry.ClusterOf(range.End - 1) - first + 1);
        }
        else if (L2Format.HostOffset(entry) is var host && host != 0)
        {
            Clusters.Free(Geometry.ClusterOf(host), 1);
        }
    }

    /// <summary>Keeps what is collected in memory within its bounds.</summary>
    public void BarrierWhenFull()
    {
        if (Map.Dirty.Count * (long)Map.SliceBytes > _dirtyLimit || Counts.DirtyBytes > _dirtyLimit + (16L << Geometry.ClusterBits) || Clusters.FreedCount > 1 << 16)
            Barrier();
    }

    /// <summary>Makes all changes durable, data and tables, in the order that keeps the image right at every instant. A full disk leaves
    /// it as it was, to be tried again; any other failure leaves unknown what is on disk, and no more is accepted.</summary>
    public void Barrier() => Sealed(() =>
    {
        WriteCounts();
        WriteSlices(inNewTables: true);
        Flush();
        Map.NewTables.Clear();
        if (Map.Dirty.Count > 0 || Map.L1.IsDirty)
        {
            WriteSlices(inNewTables: false);
            Map.L1.WriteDirty();
            Flush();
        }
        if (Clusters.FreedCount == 0) return;
        Layer.ForgetExpanded();
        Clusters.ReleaseFreed();
        Counts.WriteDirty();
    }, again: true);

    /// <summary>Makes the counts of what was given out durable, so that a change of the header may refer to it.</summary>
    public void BarrierOfCounts() => Sealed(() =>
    {
        WriteCounts();
        Flush();
    }, again: true);

    /// <summary>Does what must not fail half-way: after a failure nothing more is accepted.</summary>
    /// <param name="action">What is done.</param>
    /// <param name="again">It can be done again after a write that failed for want of space.</param>
    public void Sealed(Action action, bool again = false)
    {
        RequireSound();
        try
        {
            action();
        }
        catch (Exception e) when (!(again && e is DiskFullException))
        {
            _failure = e;
            throw;
        }
    }

    /// <summary>Makes what was written durable; after a failure nothing more is accepted.</summary>
    public void Flush()
    {
        try
        {
            _file.Flush();
        }
        catch (Exception e)
        {
            _failure = e;
            throw;
        }
    }

    /// <summary>Writes the counts of what was given out, in blocks that are durable before a table names them.</summary>
    private void WriteCounts()
    {
        Clusters.ExtendFile();
        if (Counts.HasNewBlocks)
        {
            Counts.WriteNewBlocks();
            Flush();
            Counts.PublishNewBlocks();
        }
        Counts.WriteDirty();
    }

    private void WriteSlices(bool inNewTables)
    {
        foreach (L2Slice slice in Map.Dirty.Values.OrderBy(s => s.HostOffset).ToList())
        {
            if (Map.NewTables.Contains(slice.HostOffset & -(long)Geometry.ClusterSize) != inNewTables) continue;
            (int from, int to) = slice.DirtyRange;
            _file.Write(slice.HostOffset + from, slice.Bytes.AsSpan(from, to - from));
            Map.MarkClean(slice);
        }
    }

    private void MakeTable(int index)
    {
        ClusterRun run = Allocate(1, 1);
        long host = run.Cluster << Geometry.ClusterBits;
        if (!run.IsFresh) WriteOrUndo(run, host, new byte[Geometry.ClusterSize]);
        UseTable(index, run);
    }

    private void CopyTable(int index, long table)
    {
        byte[] entries = new byte[Geometry.ClusterSize];
        if (_file.Read(table, entries) < entries.Length)
            throw new Qcow2Exception(Qcow2ErrorCode.Truncated, _file.Path, $"'{_file.Path}' ends within an L2 table, at {_file.Length}.");
        ClusterRun run = Allocate(1, 1);
        WriteOrUndo(run, run.Cluster << Geometry.ClusterBits, entries);
        Clusters.Free(Geometry.ClusterOf(table), 1);
        Map.Forget(index);
        UseTable(index, run);
    }

    private void UseTable(int index, ClusterRun run)
    {
        long host = run.Cluster << Geometry.ClusterBits;
        Clusters.Metadata.Add(run.Cluster);
        Map.NewTables.Add(host);
        Map.L1.Set(index, (ulong)host | L2Format.Copied);
    }

    private void WriteOrUndo(ClusterRun run, long host, ReadOnlySpan<byte> bytes)
    {
        try
        {
            _file.Write(host, bytes);
        }
        catch
        {
            Clusters.Undo(run);
            throw;
        }
    }

    /// <summary>Learns which clusters hold tables, so that no wrong count or entry ever lets data be written over them.</summary>
    private void NoteMetadata()
    {
        Qcow2Header header = Header.Header;
        Clusters.Metadata.Clear();
        Note(0, header.ClusterSize);
        Note(header.L1Offset, header.L1Entries * 8L);
        Note(header.RefcountTableOffset, (long)header.RefcountTableClusters << header.ClusterBits);
        Note(header.SnapshotsOffset, header.SnapshotCount * 40L);
        foreach (long block in Counts.BlockOffsets) NoteTable(block);
        for (int i = 0; i < Map.L1.Entries; i++)
        {
            long table = Map.TableOffset(i);
            if (table >= 0) NoteTable(table);
        }
    }

    private void NoteTable(long offset)
    {
        if (!Clusters.Metadata.Add(Geometry.ClusterOf(offset)))
            throw new Qcow2Exception(Qcow2ErrorCode.InvalidTable, _file.Path, $"Two tables of '{_file.Path}' are in one place, at {offset}. Repair the image before it is written.");
    }

    private void Note(long offset, long bytes)
    {
        long end = Geometry.ClustersFor(offset + bytes);
        for (long cluster = Geometry.ClusterOf(offset); bytes > 0 && cluster < end; cluster++) Clusters.Metadata.Add(cluster);
    }
}
