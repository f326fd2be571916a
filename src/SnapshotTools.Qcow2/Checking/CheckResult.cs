namespace SnapshotTools.Qcow2;

/// <summary>How an image is checked.</summary>
public sealed record CheckOptions
{
    /// <summary>Bytes that the check may hold. One byte per cluster of the file is usual: 16 MiB for a TiB of 64 KiB clusters.</summary>
    public long MemoryLimit { get; init; } = 512L << 20;

    /// <summary>Findings of one kind that are kept; the rest is only counted.</summary>
    public int MaxFindings { get; init; } = 1000;

    /// <summary>Whether QEMU's image locks are respected, so that an image that is being written is not checked.</summary>
    public bool Lock { get; init; } = true;

    /// <summary>Whether the last part of the path may be a symbolic link. Only for paths that the user named.</summary>
    public bool FollowLinks { get; init; }
}

/// <summary>How far a check is.</summary>
/// <param name="Done">Tables done.</param>
/// <param name="Total">Tables in all.</param>
public readonly record struct CheckProgress(long Done, long Total);

/// <summary>What a check found.</summary>
public sealed record CheckResult
{
    /// <summary>The findings, at most <see cref="CheckOptions.MaxFindings"/> of a kind.</summary>
    public required IReadOnlyList<CheckFinding> Findings { get; init; }

    /// <summary>Clusters (for counts and leaks) or entries by kind of finding, also those that are not among <see cref="Findings"/>.</summary>
    public required IReadOnlyDictionary<CheckFindingKind, long> Totals { get; init; }

    /// <summary>Clusters that are counted and not used, or counted too often.</summary>
    public required long Leaks { get; init; }

    /// <summary>Errors in all, also those that are not among <see cref="Findings"/>.</summary>
    public required long Errors { get; init; }

    /// <summary>Whether every reference of the image was seen. Otherwise what looks leaked may be in use.</summary>
    public required bool IsComplete { get; init; }

    /// <summary>Clusters of the guest's disk.</summary>
    public required long TotalClusters { get; init; }

    /// <summary>Clusters of the guest's disk that take space in the file.</summary>
    public required long AllocatedClusters { get; init; }

    /// <summary>Those of them that are compressed.</summary>
    public required long CompressedClusters { get; init; }

    /// <summary>The end of the last cluster in use, in bytes.</summary>
    public required long ImageEnd { get; init; }

    /// <summary>No leak, no error, nothing to settle.</summary>
    public bool IsClean => Findings.Count == 0;
}
