namespace SnapshotTools.Qcow2;

/// <summary>What may be repaired.</summary>
public enum RepairScope
{
    /// <summary>Only give back leaked clusters, and lower counts that are too high.</summary>
    Leaks,

    /// <summary>Also raise counts, correct the flags that depend on them, build the refcount structures anew where they are
    /// damaged, and clear the dirty and corrupt bits when nothing speaks against it.</summary>
    All,
}

/// <summary>A kind of step.</summary>
public enum RepairStepKind
{
    /// <summary>Clear the flag "refcount is exactly one" where it is not true.</summary>
    ClearFlags,

    /// <summary>Raise counts that are too low.</summary>
    RaiseCounts,

    /// <summary>Lower counts that are too high, and give back leaked clusters.</summary>
    LowerCounts,

    /// <summary>Write new refcount structures behind the end of the file, then switch the header to them.</summary>
    RebuildCounts,

    /// <summary>Set the flag "refcount is exactly one" where it is missing.</summary>
    SetFlags,

    /// <summary>Clear the dirty and corrupt bits.</summary>
    ClearHeaderBits,
}

/// <summary>A step of a repair.</summary>
/// <param name="Kind">What it does.</param>
/// <param name="Count">Clusters, entries or bits that it concerns.</param>
/// <param name="Description">The same in words.</param>
public sealed record RepairStep(RepairStepKind Kind, long Count, string Description);

/// <summary>What a repair would do with an image, in this order. It touches no guest data and no table that maps it, but for
/// the flag that depends on a count.</summary>
public sealed record RepairPlan
{
    /// <summary>The image.</summary>
    public required string Path { get; init; }

    /// <summary>What may be repaired.</summary>
    public required RepairScope Scope { get; init; }

    /// <summary>What the check found.</summary>
    public required CheckResult Before { get; init; }

    /// <summary>The steps; none when there is nothing that can be repaired.</summary>
    public required IReadOnlyList<RepairStep> Steps { get; init; }

    /// <summary>Findings that remain, because mending them would be guessing about somebody's data.</summary>
    public required IReadOnlyList<CheckFinding> Remaining { get; init; }

    /// <summary>What looks leaked is kept, because damaged tables may have referred to it.</summary>
    public required bool KeepsLeaks { get; init; }
}
