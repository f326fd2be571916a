using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>Clusters that were just given out.</summary>
/// <param name="Cluster">The first.</param>
/// <param name="Count">How many.</param>
/// <param name="FreshFrom">The first of them that was never written and so reads as zeroes.</param>
internal readonly record struct ClusterRun(long Cluster, int Count, long FreshFrom)
{
    /// <summary>Whether all of them were never written.</summary>
    public bool IsFresh => FreshFrom <= Cluster;
}

/// <summary>Gives out clusters and takes them back. What is taken back is counted down, and given out again, only after
/// <see cref="ReleaseFreed"/>, that is when nothing durable refers to it any more.</summary>
internal sealed class ClusterAllocator
{
    private readonly IBlockFile _file;
    private readonly Geometry _geometry;
    private readonly RefcountStore _counts;
    private readonly List<(long Cluster, long Count)> _freed = [];
    private long _hint;

    public ClusterAllocator(IBlockFile file, Geometry geometry, RefcountStore counts)
    {
        _file = file;
        _geometry = geometry;
        _counts = counts;
        End = geometry.ClustersFor(file.Length);
    }

    /// <summary>Clusters of header, tables and refcount blocks: never given out and never written as data, whatever the counts say.</summary>
    public HashSet<long> Metadata { get; } = [];

    /// <summary>The first cluster that was never given out nor part of the file.</summary>
    public long End { get; private set; }

    /// <summary>Ranges that wait for <see cref="ReleaseFreed"/>.</summary>
    public int FreedCount => _freed.Count;

    /// <summary>Gives out adjacent clusters, their count being 1: at least <paramref name="min"/>, up to <paramref name="wanted"/>;
    /// null when the refcount table must grow first.</summary>
    public ClusterRun? TryAllocate(int min, int wanted)
    {
        bool lowest = true;
        for (long at = _hint; ;)
        {
            int index = _counts.BlockOf(at);
            if (index >= _counts.TableEntries) return null;
            RefcountBlock? block = _counts.Find(index);
            if (block is null)
            {
                // Nothing is counted here yet: the block takes the first place itself.
                RequireFree(at);
                _counts.Add(index, at);
                Metadata.Add(at);
                End = Math.Max(End, at + 1);
                at++;
                continue;
            }
            int entry = block.FindFree(_counts.EntryOf(at));
            if (lowest) _hint = entry < 0 ? _counts.FirstCluster(index + 1) : _counts.FirstCluster(index) + entry;
            if (entry < 0)
            {
                at = _counts.FirstCluster(index + 1);
                continue;
            }
            lowest = false;
            at = _counts.FirstCluster(index) + entry;
            int count = FreeRun(at, wanted);
            if (count >= min) return Take(at, count);
            at += count;
        }
    }

    /// <summary>Gives back clusters that nothing was made to refer to.</summary>
    public void Undo(ClusterRun run)
    {
        for (long cluster = run.Cluster; cluster < run.Cluster + run.Count; cluster++) _counts.Set(cluster, 0);
        _hint = Math.Min(_hint, run.Cluster);
    }

    /// <summary>Takes back one reference to each of some clusters, in effect after <see cref="ReleaseFreed"/>.</summary>
    /// <exception cref="Qcow2Exception">A count is 0 already.</exception>
    public void Free(long cluster, long count)
    {
        for (long each = cluster; each < cluster + count; each++)
            if (_counts.Get(each) == 0) throw Wrong(each, "is in use and counted as free");
        if (_freed.Count > 0 && _freed[^1] is var last && last.Cluster + last.Count == cluster) _freed[^1] = (last.Cluster, last.Count + count);
        else _freed.Add((cluster, count));
    }

    /// <summary>Counts down what was freed, and gives the space of what nobody refers to any more back to the file system.</summary>
    public void ReleaseFreed()
    {
        if (_freed.Count == 0) return;
        _freed.Sort();
        long holeFrom = -1, holeTo = -1;
        foreach ((long first, long length) in _freed)
        {
            for (long cluster = first; cluster < first + length; cluster++)
            {
                ulong count = _counts.Get(cluster);
                if (count == 0) continue;
                _counts.Set(cluster, count - 1);
                if (count > 1) continue;
                Metadata.Remove(cluster);
                _hint = Math.Min(_hint, cluster);
                if (cluster != holeTo)
                {
                    Punch(holeFrom, holeTo);
                    holeFrom = cluster;
                }
                holeTo = cluster + 1;
            }
        }
        Punch(holeFrom, holeTo);
        _freed.Clear();
    }

    /// <summary>Requires that a cluster may be written in place: it holds no table, and just one entry refers to it.</summary>
    public void RequireExclusive(long cluster)
    {
        if (Metadata.Contains(cluster)) throw Wrong(cluster, "is used as data and holds a table");
        RequireCountOne(cluster);
    }

    /// <summary>Requires that just one entry refers to a cluster.</summary>
    public void RequireCountOne(long cluster)
    {
        ulong count = _counts.Get(cluster);
        if (count != 1) throw Wrong(cluster, $"is marked as used once and counted {count} times");
    }

    /// <summary>Extends the file over all clusters that were given out.</summary>
    public void ExtendFile()
    {
        long length = End << _geometry.ClusterBits;
        if (_file.Length < length) _file.SetLength(length);
    }

    /// <summary>Takes all clusters up to one as given out.</summary>
    public void MoveEnd(long end) => End = Math.Max(End, end);

    private int FreeRun(long at, int wanted)
    {
        int count = 0;
        for (; count < wanted; count++)
        {
            long cluster = at + count;
            if (_counts.Find(_counts.BlockOf(cluster)) is not { } block || block.Get(_counts.EntryOf(cluster)) != 0) break;
        }
        return count;
    }

    private ClusterRun Take(long at, int count)
    {
        for (long cluster = at; cluster < at + count; cluster++) RequireFree(cluster);
        for (long cluster = at; cluster < at + count; cluster++) _counts.Set(cluster, 1);
        var run = new ClusterRun(at, count, Math.Max(at, End));
        End = Math.Max(End, at + count);
        return run;
    }

    private void RequireFree(long cluster)
    {
        if (Metadata.Contains(cluster)) throw Wrong(cluster, "holds a table and is counted as free");
    }

    private void Punch(long from, long to)
    {
        if (from < 0) return;
        long start = from << _geometry.ClusterBits, end = Math.Min(to << _geometry.ClusterBits, _file.Length);
        if (end <= start) return;
        try
        {
            _file.PunchHole(start, end - start);
        }
        catch (IOException)
        {
            // The clusters are free either way; only their space stays with the file until they are used again.
        }
    }

    private Qcow2Exception Wrong(long cluster, string what) => new(
        Qcow2ErrorCode.InvalidRefcount,
        _file.Path,
        $"The cluster at {cluster << _geometry.ClusterBits} of '{_file.Path}' {what}. Nothing was changed there; repair the image before it is written.");
}
