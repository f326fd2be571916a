namespace SnapshotTools.Qcow2;

/// <summary>Decides what each count and each flag is to become.</summary>
internal sealed class RepairTargets
{
    private const long MaxTableEntries = Limits.MaxRefcountTableBytes / 8;

    private readonly ReferenceCounts _references;
    private readonly RefcountTable _counts;
    private readonly ulong _max;
    private readonly bool _raise;
    private bool _rebuild;
    private readonly HashSet<long> _abandoned = [];

    public RepairTargets(Examination examination, CheckResult result, RepairScope scope)
    {
        _references = examination.Counts;
        _counts = examination.Refcounts!;
        _max = examination.Geometry.MaxRefcount;
        _raise = scope == RepairScope.All;
        // With references unseen, new structures would free what the old ones may protect.
        _rebuild = _raise && result.IsComplete;
        IsMappingWhole = result.IsComplete && !result.Totals.Keys.Any(HidesUse);
    }

    /// <summary>Whether all that the tables say can be believed. Otherwise a cluster that nothing seems to refer to may
    /// belong to a damaged entry: it is kept, and nothing is marked as writable in place.</summary>
    public bool IsMappingWhole { get; }

    /// <summary>Whether there are counts that have no place, and they may be built anew.</summary>
    public bool NeedsRebuild(IEnumerable<long> pages, CancellationToken cancellation)
    {
        if (!_rebuild || _counts.IsDamaged) return _rebuild;
        foreach (long page in pages)
        {
            cancellation.ThrowIfCancellationRequested();
            long end = (page + 1) << ReferenceCounts.PageBits;
            for (long cluster = page << ReferenceCounts.PageBits; cluster < end; cluster++)
            {
                if (HasBlock(cluster)) cluster |= (1L << _counts.BlockBits) - 1;
                else if (CountOf(cluster) != 0) return true;
            }
        }
        return false;
    }

    /// <summary>Gives up what cannot be counted in its place, since there is none for new structures either.</summary>
    public void ForbidRebuild() => _rebuild = false;

    /// <summary>Findings that a repair leaves as they are.</summary>
    public static bool Remains(CheckFindingKind kind) => HidesUse(kind) || kind == CheckFindingKind.RefcountOverflow;

    /// <summary>The count that a cluster is to have.</summary>
    public ulong CountOf(long cluster)
    {
        ulong references = Math.Min(_references.Get(cluster), _max);
        if (_abandoned.Contains(cluster) || _counts.Get(cluster) is not { } present) return CanCount(cluster) ? references : 0;
        if (references < present) return IsMappingWhole ? references : present;
        return _raise && CanCount(cluster) ? references : present;
    }

    /// <summary>Whether the flag of an entry for a cluster is to be set: true or false, or null to leave it.</summary>
    public bool? FlagOf(long cluster, bool present)
    {
        uint references = _references.Get(cluster);
        if (references > _max) return null;
        bool single = references == 1 && CountOf(cluster) == 1;
        if (single == present) return null;
        return single ? (IsMappingWhole ? true : null) : false;
    }

    /// <summary>Takes a cluster out of use: its present count no longer matters.</summary>
    public void Abandon(long cluster)
    {
        _references.Remove(cluster);
        _abandoned.Add(cluster);
    }

    /// <summary>Far past the end of the file there may be no place for a count.</summary>
    private bool CanCount(long cluster) => HasBlock(cluster) || (_rebuild && cluster >> _counts.BlockBits < MaxTableEntries);

    private bool HasBlock(long cluster) => cluster >> _counts.BlockBits is var index && index < _counts.Length && _counts.BlockOffset((int)index) != 0;

    private static bool HidesUse(CheckFindingKind kind) => kind is CheckFindingKind.OutOfFile or CheckFindingKind.Unaligned or CheckFindingKind.ReservedBits
        or CheckFindingKind.Overlap or CheckFindingKind.SnapshotTable or CheckFindingKind.Bitmaps or CheckFindingKind.Incomplete;
}
