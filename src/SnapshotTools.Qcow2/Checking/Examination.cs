using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>One walk through all tables of an image, and what it found: the basis of check and repair.</summary>
internal sealed class Examination
{
    private readonly SparseReader _reader;
    private readonly IProgress<CheckProgress>? _progress;
    private readonly CancellationToken _cancellation;
    private readonly L1Scan _l1;
    private readonly FindingCollector _findings;
    private long _done;
    private long _total;

    private Examination(IBlockFile file, CheckOptions options, IProgress<CheckProgress>? progress, CancellationToken cancellation)
    {
        (File, _progress, _cancellation) = (file, progress, cancellation);
        (Header, Extensions) = HeaderParser.Parse(file, toRepair: true);
        Geometry = new Geometry(Header);
        _reader = new SparseReader(file);
        Counts = new ReferenceCounts(options.MemoryLimit);
        _findings = new FindingCollector(options.MaxFindings);
        _l1 = new L1Scan(_reader, Geometry, Counts, _findings);
    }

    public IBlockFile File { get; }

    public Qcow2Header Header { get; }

    public IReadOnlyList<HeaderExtension> Extensions { get; }

    public Geometry Geometry { get; }

    /// <summary>The references that were found.</summary>
    public ReferenceCounts Counts { get; }

    /// <summary>The counts as the file has them; null when the walk ended before.</summary>
    public RefcountTable? Refcounts { get; private set; }

    /// <summary>The L2 tables that could be read, by their host offset.</summary>
    public SortedDictionary<long, L2Use> L2Tables { get; } = [];

    /// <summary>Entries of the active L1 table.</summary>
    public IReadOnlyList<(int Index, long Table, bool Copied)> ActiveL1 => _l1.ActiveEntries;

    /// <summary>Walks through an image.</summary>
    /// <returns>The walk, for those who repair, and its verdict.</returns>
    /// <exception cref="Qcow2Exception">Its header cannot be used.</exception>
    public static (Examination Examination, CheckResult Result) Run(IBlockFile file, CheckOptions options, IProgress<CheckProgress>? progress, CancellationToken cancellation)
    {
        var examination = new Examination(file, options, progress, cancellation);
        return (examination, examination.Walk(options.MemoryLimit));
    }

    private CheckResult Walk(long memoryLimit)
    {
        L2Scan? l2 = null;
        long end = 0;
        try
        {
            NoteHeaderBits();
            Counts.Add(0, 1, ClusterUse.Metadata);
            _l1.Read("active L1 table", Header.L1Offset, Header.L1Entries, active: true, _cancellation);
            bool hasCounts = Claim("refcount table", Header.RefcountTableOffset, (long)Header.RefcountTableClusters << Header.ClusterBits, canBeRebuilt: true);
            ReadSnapshots();
            new BitmapScan(_reader, Header, Geometry, Counts, _findings).Read(Extensions, _cancellation);
            ClaimL2Tables();
            // Last, because what overlaps a mapping table loses against it: counts can be built anew.
            Refcounts = hasCounts ? RefcountTable.Load(_reader, Header, Geometry, Counts, _findings) : RefcountTable.None(_reader, Geometry);
            l2 = new L2Scan(_reader, Header, Geometry, Refcounts, Counts, _findings);
            _total = L2Tables.Count + Refcounts.Length;
            foreach ((long offset, L2Use use) in L2Tables)
            {
                l2.Read(offset, use);
                Advance();
            }
            CheckL1Copied();
            var comparison = new RefcountComparison(Refcounts, Geometry, Counts, _findings);
            comparison.Run(Advance, _cancellation);
            end = comparison.EndCluster;
        }
        catch (MemoryLimitException)
        {
            _findings.Add(new CheckFinding(CheckFindingKind.Incomplete, CheckSeverity.Error,
                FormattableString.Invariant($"The check ended early: the references are scattered over more of the file than {memoryLimit >> 20} MiB of memory can count. Sound images of this size need less; raise the memory limit to see all findings.")), hidesReferences: true);
        }
        return new CheckResult
        {
            Findings = _findings.Findings,
            Totals = _findings.Totals,
            Leaks = _findings.Leaks,
            Errors = _findings.Errors,
            IsComplete = _findings.IsComplete,
            TotalClusters = Geometry.ClustersFor(Header.VirtualSize),
            AllocatedClusters = l2?.Allocated ?? 0,
            CompressedClusters = l2?.Compressed ?? 0,
            ImageEnd = end << Header.ClusterBits,
        };
    }

    private void NoteHeaderBits()
    {
        if ((Header.IncompatibleFeatures & IncompatibleFeatures.Dirty) != 0)
        {
            _findings.Add(new CheckFinding(CheckFindingKind.DirtyBit, CheckSeverity.Note,
                $"'{File.Path}' was not closed properly (its dirty bit is set): reference counts may be behind. It can be read, and must be repaired before it is written."));
        }
        if ((Header.IncompatibleFeatures & IncompatibleFeatures.Corrupt) != 0)
        {
            _findings.Add(new CheckFinding(CheckFindingKind.CorruptBit, CheckSeverity.Error,
                $"'{File.Path}' was marked as corrupt by a writer that found damage. It must be repaired before it is written."));
        }
    }

    private bool Claim(string name, long offset, long bytes, bool canBeRebuilt = false) =>
        MetadataArea.Claim(name, offset, bytes, _reader, Geometry, Counts, _findings, canBeRebuilt);

    private void ReadSnapshots()
    {
        if (Header.SnapshotCount == 0) return;
        try
        {
            (IReadOnlyList<InternalSnapshot> snapshots, long bytes) = SnapshotTable.Read(File, Header);
            Claim("table of internal snapshots", Header.SnapshotsOffset, Math.Min(bytes, _reader.Length - Header.SnapshotsOffset));
            foreach (InternalSnapshot snapshot in snapshots)
            {
                // Required from version 3 on (specification, "Extra data"); where it is missing, the entry may be what is left of another.
                if (snapshot.VirtualSize is null && Header.Version >= 3)
                {
                    _findings.AddError(CheckFindingKind.SnapshotTable, Header.SnapshotsOffset, -1,
                        $"The entry of snapshot '{Printable.Text(snapshot.Name)}' in the table of internal snapshots of '{File.Path}' is incomplete: it has no size of the disk.");
                }
                _l1.Read($"L1 table of snapshot '{Printable.Text(snapshot.Name)}'", snapshot.L1Offset, snapshot.L1Entries, active: false, _cancellation);
            }
        }
        catch (Qcow2Exception e)
        {
            _findings.Add(new CheckFinding(CheckFindingKind.SnapshotTable, CheckSeverity.Error, e.Message) { HostOffset = Header.SnapshotsOffset }, hidesReferences: true);
        }
    }

    private void ClaimL2Tables()
    {
        foreach ((long offset, L2Use use) in _l1.Tables)
        {
            ClusterUse before = Counts.Add(Geometry.ClusterOf(offset), use.References, ClusterUse.Metadata);
            if (before == ClusterUse.None) L2Tables.Add(offset, use);
            else
            {
                _findings.AddError(CheckFindingKind.Overlap, offset, use.Active ? (long)use.L1Index << Geometry.L2CoverageBits : -1,
                    $"Entry {use.L1Index} of an L1 table places an L2 table at {offset}, where {MetadataArea.Describe(before)} is.", hidesReferences: true);
            }
        }
    }

    private void CheckL1Copied()
    {
        foreach ((int index, long table, bool copied) in ActiveL1)
        {
            if (Refcounts!.Get(Geometry.ClusterOf(table)) is { } count && count == 1 != copied)
            {
                _findings.AddError(CheckFindingKind.CopiedFlag, table, (long)index << Geometry.L2CoverageBits,
                    $"Entry {index} of the active L1 table {L2Scan.CopiedCause(copied, count)}.");
            }
        }
    }

    private void Advance()
    {
        _cancellation.ThrowIfCancellationRequested();
        if ((++_done & 63) == 0 || _done == _total) _progress?.Report(new CheckProgress(_done, _total));
    }
}
