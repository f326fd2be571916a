namespace SnapshotTools.Qcow2;

/// <summary>Collects findings: keeps so many of a kind, counts all, joins neighbors.</summary>
internal sealed class FindingCollector(int maxPerKind)
{
    private readonly List<CheckFinding> _findings = [];
    private readonly Dictionary<CheckFindingKind, int> _kept = [];
    private readonly Dictionary<CheckFindingKind, long> _totals = [];

    public IReadOnlyList<CheckFinding> Findings => _findings;

    /// <summary>Clusters or entries by kind of finding.</summary>
    public IReadOnlyDictionary<CheckFindingKind, long> Totals => _totals;

    public long Leaks { get; private set; }

    public long Errors { get; private set; }

    /// <summary>Whether every reference could be followed; see <see cref="CheckResult.IsComplete"/>.</summary>
    public bool IsComplete { get; private set; } = true;

    /// <summary>Adds a finding.</summary>
    /// <param name="finding">The finding.</param>
    /// <param name="hidesReferences">Whether something that may refer to clusters could not be read because of it.</param>
    public void Add(CheckFinding finding, bool hidesReferences = false)
    {
        Count(finding.Kind, finding.Severity, finding.Count);
        if (hidesReferences) IsComplete = false;
        if (MayKeep(finding.Kind)) _findings.Add(finding);
    }

    /// <summary>Adds an error without making its text when it is not kept: a hostile table has millions.</summary>
    public void AddError(CheckFindingKind kind, long hostOffset, long guestOffset, FormattableString message, bool hidesReferences = false)
    {
        Count(kind, CheckSeverity.Error, 1);
        if (hidesReferences) IsComplete = false;
        if (MayKeep(kind))
            _findings.Add(new CheckFinding(kind, CheckSeverity.Error, FormattableString.Invariant(message)) { HostOffset = hostOffset, GuestOffset = guestOffset });
    }

    private void Count(CheckFindingKind kind, CheckSeverity severity, long count)
    {
        _totals[kind] = _totals.GetValueOrDefault(kind) + count;
        if (severity == CheckSeverity.Leak) Leaks += count;
        if (severity == CheckSeverity.Error) Errors += count;
    }

    private bool MayKeep(CheckFindingKind kind)
    {
        int kept = _kept.GetValueOrDefault(kind);
        if (kept >= maxPerKind) return false;
        _kept[kind] = kept + 1;
        return true;
    }
}
