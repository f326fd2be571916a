namespace SnapshotTools.Qcow2;

/// <summary>How much a finding matters.</summary>
public enum CheckSeverity
{
    /// <summary>Nothing is wrong with the content; something waits to be settled.</summary>
    Note,

    /// <summary>Space is lost, the content is whole.</summary>
    Leak,

    /// <summary>Content is lost, or the next write may destroy some.</summary>
    Error,
}

/// <summary>What is wrong.</summary>
public enum CheckFindingKind
{
    /// <summary>Clusters have a reference count and nothing refers to them.</summary>
    LeakedCluster,

    /// <summary>Clusters are counted more often than they are referred to.</summary>
    RefcountTooHigh,

    /// <summary>Clusters are referred to more often than they are counted: the next allocation or write may destroy them.</summary>
    RefcountTooLow,

    /// <summary>Clusters are referred to more often than the width of the counts can express.</summary>
    RefcountOverflow,

    /// <summary>An entry of the refcount table is impossible, so that the counts of its range are not known.</summary>
    RefcountTable,

    /// <summary>The flag "refcount is exactly one" of an L1 or L2 entry contradicts the count.</summary>
    CopiedFlag,

    /// <summary>An entry points past the end of the file.</summary>
    OutOfFile,

    /// <summary>An entry points to a place that is not the start of a cluster.</summary>
    Unaligned,

    /// <summary>Reserved bits of an entry are set, or its parts contradict each other.</summary>
    ReservedBits,

    /// <summary>Two things of different kinds, or two tables, lie in one place.</summary>
    Overlap,

    /// <summary>The table of internal snapshots cannot be read, or one of its entries is incomplete.</summary>
    SnapshotTable,

    /// <summary>The directory of bitmaps, or a bitmap's table, cannot be read.</summary>
    Bitmaps,

    /// <summary>The dirty bit is set: a writer ended without settling the counts.</summary>
    DirtyBit,

    /// <summary>The corrupt bit is set: a writer found damage and locked the image against writing.</summary>
    CorruptBit,

    /// <summary>The check ended early, because the references are scattered over more of the file than its memory limit allows.</summary>
    Incomplete,
}

/// <summary>One finding of a check.</summary>
/// <param name="Kind">What is wrong.</param>
/// <param name="Severity">How much it matters.</param>
/// <param name="Message">A sentence that names the place and the cause.</param>
public sealed record CheckFinding(CheckFindingKind Kind, CheckSeverity Severity, string Message)
{
    /// <summary>Where in the file, in bytes; -1 when it is not at one place.</summary>
    public long HostOffset { get; init; } = -1;

    /// <summary>Where on the guest's disk, in bytes; -1 when it is not (only) there.</summary>
    public long GuestOffset { get; init; } = -1;

    /// <summary>Clusters (for counts and leaks) or entries that it covers.</summary>
    public long Count { get; init; } = 1;
}
