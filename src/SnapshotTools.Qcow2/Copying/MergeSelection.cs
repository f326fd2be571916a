namespace SnapshotTools.Qcow2;

/// <summary>Which of a layer's data a merge copies.</summary>
public enum MergeSelection
{
    /// <summary>All of it, over what the target holds: a child goes down into the layer under it. The target then has the child's size.</summary>
    All,

    /// <summary>Where the target holds nothing itself: a layer goes up into the child over it.</summary>
    WhereTargetUnallocated,
}

/// <summary>What a merge would do; exact as long as nobody writes and the clusters of both layers are of one size.</summary>
/// <param name="CopyBytes">Guest bytes of data to be copied.</param>
/// <param name="ZeroBytes">Guest bytes to be recorded as zeroes in the target, which moves no data.</param>
/// <param name="NewBytes">Of the data, what needs new space in the target's file: the free space that the merge needs, but for tables.</param>
public readonly record struct MergePlan(long CopyBytes, long ZeroBytes, long NewBytes);
