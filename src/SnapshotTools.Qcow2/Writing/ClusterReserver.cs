namespace SnapshotTools.Qcow2;

/// <summary>Whole clusters of an image that stand ready to be filled.</summary>
/// <param name="Offset">Guest offset.</param>
/// <param name="Count">Bytes.</param>
/// <param name="Host">Where they are in the file.</param>
/// <param name="IsNew">Nothing refers to them yet; else they hold what the guest sees there now.</param>
internal readonly record struct ReservedRange(long Offset, long Count, long Host, bool IsNew);

/// <summary>
/// Splits a write in three, for copying by the kernel or on many threads: clusters are reserved, filled by whoever copies
/// without holding up the image, and then put in place. Until then nothing refers to new ones, so a crash between loses nothing but space.
/// </summary>
internal sealed class ClusterReserver(WritableTables tables)
{
    private readonly Geometry _geometry = tables.Geometry;
    private readonly LayerMap _map = tables.Map;

    /// <summary>Clusters for a range of whole clusters: the image's own where it may write them in place, new ones elsewhere.</summary>
    public List<ReservedRange> Reserve(long offset, long count)
    {
        List<ReservedRange> ranges = [];
        try
        {
            for (long end = offset + count; offset < end;)
            {
                ReservedRange range = Next(tables.SliceForWrite(offset), offset, Math.Min(end, _map.SliceEnd(offset)));
                offset += range.Count;
                if (ranges.Count > 0 && ranges[^1] is var last && last.IsNew == range.IsNew && last.Host + last.Count == range.Host)
                    ranges[^1] = last with { Count = last.Count + range.Count };
                else ranges.Add(range);
            }
            return ranges;
        }
        catch
        {
            GiveBack(ranges);
            throw;
        }
    }

    /// <summary>Lets the guest see what the clusters were filled with.</summary>
    public void Place(IEnumerable<ReservedRange> ranges)
    {
        foreach (ReservedRange range in ranges)
        {
            if (!range.IsNew && !_geometry.ExtendedL2) continue;
            for (long done = 0; done < range.Count; done += _geometry.ClusterSize)
            {
                L2Slice slice = tables.SliceForWrite(range.Offset + done);
                int at = _map.EntryOffset(range.Offset + done);
                ulong old = slice.Word(at);
                if (range.IsNew) tables.SetEntry(slice, at, (ulong)(range.Host + done) | L2Format.Copied);
                if (_geometry.ExtendedL2 && slice.Word(at + 8) != uint.MaxValue) tables.SetEntry(slice, at + 8, uint.MaxValue);
                if (range.IsNew) tables.FreeOld(old);
            }
        }
        tables.BarrierWhenFull();
    }

    /// <summary>Gives new clusters back that were not put in place.</summary>
    public void GiveBack(IEnumerable<ReservedRange> ranges)
    {
        foreach (ReservedRange range in ranges.Where(r => r.IsNew))
        {
            long first = _geometry.ClusterOf(range.Host);
            tables.Clusters.Undo(new ClusterRun(first, (int)_geometry.ClustersFor(range.Count), first));
        }
    }

    private ReservedRange Next(L2Slice slice, long offset, long end)
    {
        long host = OwnHost(slice, offset);
        long count = _geometry.ClusterSize;
        if (host >= 0)
        {
            while (offset + count < end && OwnHost(slice, offset + count) == host + count) count += _geometry.ClusterSize;
            for (long done = 0; done < count; done += _geometry.ClusterSize) tables.Clusters.RequireExclusive(_geometry.ClusterOf(host + done));
            return new ReservedRange(offset, count, host, IsNew: false);
        }
        while (offset + count < end && OwnHost(slice, offset + count) < 0) count += _geometry.ClusterSize;
        ClusterRun run = tables.Allocate(1, (int)_geometry.ClusterOf(count));
        return new ReservedRange(offset, (long)run.Count << _geometry.ClusterBits, run.Cluster << _geometry.ClusterBits, IsNew: true);
    }

    /// <summary>The host offset of a cluster with data to which only this entry refers, or -1.</summary>
    private long OwnHost(L2Slice slice, long offset)
    {
        ulong entry = slice.Word(_map.EntryOffset(offset));
        ClusterKind kind = _map.Format.KindOf(entry);
        // Reading reports what is wrong with it.
        if (kind == ClusterKind.Invalid) _map.Next(offset, 1);
        return kind == ClusterKind.Data && (entry & L2Format.Copied) != 0 ? L2Format.HostOffset(entry) : -1;
    }
}
