namespace SnapshotTools.Qcow2;

/// <summary>Compares the counts of the file with the references that were found, and reports neighbors together.</summary>
internal sealed class RefcountComparison(RefcountTable refcounts, Geometry geometry, ReferenceCounts counts, FindingCollector findings)
{
    private (long First, long Count, ulong Actual, ulong Expected) _run;

    /// <summary>The first cluster after the last one in use.</summary>
    public long EndCluster { get; private set; }

    /// <summary>Compares everything.</summary>
    public void Run(Action onBlock, CancellationToken cancellation)
    {
        long[] pages = [.. counts.PageNumbers];
        int nextPage = 0;
        for (int index = 0; index < refcounts.Length; index++)
        {
            cancellation.ThrowIfCancellationRequested();
            long first = (long)index << refcounts.BlockBits, end = first + (1L << refcounts.BlockBits);
            if (refcounts.Block(index) is { } block)
            {
                CompareBlock(block, first, end);
                while (nextPage < pages.Length && pages[nextPage] + 1 << ReferenceCounts.PageBits <= end) nextPage++;
            }
            else
            {
                nextPage = ReportUncounted(pages, nextPage, first, end, refcounts.IsBlockDamaged(index));
            }
            onBlock();
        }
        ReportUncounted(pages, nextPage, (long)refcounts.Length << refcounts.BlockBits, long.MaxValue, damaged: refcounts.Length == 0);
        Flush();
    }

    private void CompareBlock(byte[] block, long first, long end)
    {
        for (long at = first; at < end;)
        {
            long stop = Math.Min(end, (at | (ReferenceCounts.PageClusters - 1)) + 1);
            if (counts.FindPage(at >> ReferenceCounts.PageBits) is { } page) ComparePage(block, first, at, stop, page);
            else FindLeaks(block, first, at, stop);
            at = stop;
        }
    }

    private void ComparePage(ReadOnlySpan<byte> block, long first, long from, long to, ReferenceCounts.Page page)
    {
        for (long cluster = from; cluster < to;)
        {
            int left = (int)(to - cluster);
            (ulong actual, int same) = RefcountTable.EqualEntries(block, geometry.RefcountOrder, cluster - first, left);
            (uint expected, int alike) = page.EqualCounts((int)(cluster & (ReferenceCounts.PageClusters - 1)), left);
            int count = Math.Min(same, alike);
            if (actual != expected) Differs(cluster, count, actual, expected);
            cluster += count;
            if ((actual | expected) != 0) EndCluster = Math.Max(EndCluster, cluster);
        }
    }

    private void FindLeaks(ReadOnlySpan<byte> block, long first, long from, long to)
    {
        for (long cluster = from; cluster < to;)
        {
            (ulong actual, int count) = RefcountTable.EqualEntries(block, geometry.RefcountOrder, cluster - first, (int)(to - cluster));
            if (actual != 0) Differs(cluster, count, actual, 0);
            cluster += count;
            if (actual != 0) EndCluster = Math.Max(EndCluster, cluster);
        }
    }

    private int ReportUncounted(long[] pages, int nextPage, long first, long end, bool damaged)
    {
        for (; nextPage < pages.Length && pages[nextPage] << ReferenceCounts.PageBits < end; nextPage++)
        {
            long start = pages[nextPage] << ReferenceCounts.PageBits;
            ReferenceCounts.Page page = counts.FindPage(pages[nextPage])!;
            for (long cluster = Math.Max(start, first); cluster < Math.Min(start + ReferenceCounts.PageClusters, end); cluster++)
            {
                uint expected = page.Count((int)(cluster - start));
                if (expected == 0) continue;
                // Where a block is damaged, that was reported, and the counts are not known to be wrong, but for what cannot be counted.
                if (!damaged || expected > geometry.MaxRefcount) Differs(cluster, 1, 0, expected);
                EndCluster = Math.Max(EndCluster, cluster + 1);
            }
            if (start + ReferenceCounts.PageClusters > end) break;
        }
        return nextPage;
    }

    private void Differs(long cluster, long count, ulong actual, ulong expected)
    {
        if (_run.Count > 0 && cluster == _run.First + _run.Count && actual == _run.Actual && expected == _run.Expected)
        {
            _run.Count += count;
            return;
        }
        Flush();
        _run = (cluster, count, actual, expected);
    }

    private void Flush()
    {
        if (_run.Count == 0) return;
        (long first, long count, ulong actual, ulong expected) = _run;
        _run = default;
        long host = first << geometry.ClusterBits;
        string clusters = FormattableString.Invariant(count == 1 ? (FormattableString)$"Cluster {first} (at {host})" : $"Clusters {first} to {first + count - 1} (at {host})");
        (CheckFindingKind kind, CheckSeverity severity, string verdict) = (actual, expected) switch
        {
            (_, 0) => (CheckFindingKind.LeakedCluster, CheckSeverity.Leak, "and nothing refers to it: leaked"),
            _ when actual > expected => (CheckFindingKind.RefcountTooHigh, CheckSeverity.Leak, FormattableString.Invariant($"and is referred to {expected} times")),
            _ when expected > geometry.MaxRefcount => (CheckFindingKind.RefcountOverflow, CheckSeverity.Error,
                FormattableString.Invariant($"and is referred to {expected} times, more than a count of {1 << geometry.RefcountOrder} bits can say")),
            _ => (CheckFindingKind.RefcountTooLow, CheckSeverity.Error, FormattableString.Invariant($"and is referred to {expected} times")),
        };
        findings.Add(new CheckFinding(kind, severity, FormattableString.Invariant($"{clusters} has reference count {actual} {verdict}.")) { HostOffset = host, Count = count });
    }
}
