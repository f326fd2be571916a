namespace SnapshotTools.Qcow2;

/// <summary>What a host cluster is used for.</summary>
internal enum ClusterUse
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>A cluster of the guest's data, or kept for it.</summary>
    Data,

    /// <summary>Compressed data of one or more clusters.</summary>
    Compressed,

    /// <summary>The header, a table or a directory.</summary>
    Metadata,
}

/// <summary>
/// Counts the references to each host cluster: one byte per cluster, four where a cluster of the neighborhood has many,
/// in pages that exist only where something is referred to.
/// </summary>
internal sealed class ReferenceCounts(long memoryLimit)
{
    public const int PageBits = 12;
    public const int PageClusters = 1 << PageBits;

    /// <summary>About what a page costs beside its counts.</summary>
    private const int PageOverhead = 128;

    private readonly Dictionary<long, Page> _pages = [];
    private long _memory;
    private long _lastNumber = -1;
    private Page? _last;

    /// <summary>The numbers of the pages that exist, ascending; page n holds clusters n * <see cref="PageClusters"/> and on.</summary>
    public IReadOnlyList<long> PageNumbers => [.. _pages.Keys.Order()];

    /// <summary>Adds references to a cluster.</summary>
    /// <returns>What the cluster was used for before when that conflicts with the new use, else None.</returns>
    /// <exception cref="MemoryLimitException">The references are scattered too widely.</exception>
    public ClusterUse Add(long cluster, uint references, ClusterUse use)
    {
        Page page = GetOrAddPage(cluster >> PageBits);
        int index = (int)(cluster & (PageClusters - 1));
        ClusterUse before = page.Use(index);
        if (!page.TryAdd(index, references, use > before ? use : before))
        {
            Charge(PageClusters * sizeof(uint));
            page.Widen();
            page.TryAdd(index, references, use > before ? use : before);
        }
        bool conflict = before != ClusterUse.None && (before != use || use == ClusterUse.Metadata);
        return conflict ? before : ClusterUse.None;
    }

    /// <summary>Adds references to data clusters that lie one after the other, as far as nothing referred to them before.</summary>
    /// <returns>How many clusters it was done for; those after need <see cref="Add"/>.</returns>
    public int AddFreshData(long cluster, int count, uint references)
    {
        int done = 0;
        while (done < count)
        {
            int index = (int)((cluster + done) & (PageClusters - 1)), here = Math.Min(count - done, PageClusters - index);
            int added = GetOrAddPage((cluster + done) >> PageBits).AddFreshData(index, here, references);
            done += added;
            if (added < here) break;
        }
        return done;
    }

    /// <summary>Takes back one reference to a cluster.</summary>
    public void Remove(long cluster) => _pages[cluster >> PageBits].Decrement((int)(cluster & (PageClusters - 1)));

    /// <summary>References to a cluster.</summary>
    public uint Get(long cluster) => FindPage(cluster >> PageBits)?.Count((int)(cluster & (PageClusters - 1))) ?? 0;

    /// <summary>The page of a number, or null when nothing in it is referred to.</summary>
    public Page? FindPage(long number)
    {
        if (number == _lastNumber) return _last;
        if (!_pages.TryGetValue(number, out Page? page)) return null;
        (_lastNumber, _last) = (number, page);
        return page;
    }

    private Page GetOrAddPage(long number)
    {
        if (FindPage(number) is { } found) return found;
        Charge(PageClusters + PageOverhead);
        var page = new Page();
        _pages.Add(number, page);
        (_lastNumber, _last) = (number, page);
        return page;
    }

    /// <summary>Counts memory that is used for references, here or beside.</summary>
    public void Charge(long bytes)
    {
        _memory += bytes;
        if (_memory > memoryLimit) throw new MemoryLimitException();
    }

    /// <summary>The counts of <see cref="PageClusters"/> clusters.</summary>
    internal sealed class Page
    {
        private const int SmallUseShift = 6;
        private const int SmallMax = (1 << SmallUseShift) - 1;
        private const int LargeUseShift = 30;
        private const uint LargeMax = (1u << LargeUseShift) - 1;

        private byte[]? _small = new byte[PageClusters];
        private uint[] _large = [];

        /// <summary>References to a cluster of the page. Counts end at 2^30 - 1, which no sound image reaches.</summary>
        public uint Count(int index) => _small is { } small ? (uint)(small[index] & SmallMax) : _large[index] & LargeMax;

        public ClusterUse Use(int index) => (ClusterUse)(_small is { } small ? small[index] >> SmallUseShift : (int)(_large[index] >> LargeUseShift));

        public bool TryAdd(int index, uint references, ClusterUse use)
        {
            ulong count = (ulong)Count(index) + references;
            if (_small is { } small)
            {
                if (count > SmallMax) return false;
                small[index] = (byte)(((int)use << SmallUseShift) | (int)count);
                return true;
            }
            _large[index] = ((uint)use << LargeUseShift) | (uint)Math.Min(count, LargeMax);
            return true;
        }

        public int AddFreshData(int index, int count, uint references)
        {
            if (_small is not { } small || references > SmallMax) return 0;
            Span<byte> span = small.AsSpan(index, count);
            int used = span.IndexOfAnyExcept((byte)0);
            if (used >= 0) span = span[..used];
            span.Fill((byte)(((int)ClusterUse.Data << SmallUseShift) | (int)references));
            return span.Length;
        }

        /// <summary>References to a cluster of the page, and for how many from it on they are the same.</summary>
        public (uint Count, int Alike) EqualCounts(int index, int max)
        {
            int other = _small is { } small
                ? small.AsSpan(index, max).IndexOfAnyExcept(small[index])
                : _large.AsSpan(index, max).IndexOfAnyExcept(_large[index]);
            return (Count(index), other < 0 ? max : other);
        }

        public void Decrement(int index)
        {
            if (Count(index) == 0) throw new InvalidOperationException("There is no reference to take back.");
            if (_small is { } small) small[index]--;
            else _large[index]--;
        }

        public void Widen()
        {
            var large = new uint[PageClusters];
            for (int i = 0; i < PageClusters; i++) large[i] = ((uint)Use(i) << LargeUseShift) | Count(i);
            (_large, _small) = (large, null);
        }
    }
}

/// <summary>A check would need more memory than it may use.</summary>
internal sealed class MemoryLimitException : Exception;
