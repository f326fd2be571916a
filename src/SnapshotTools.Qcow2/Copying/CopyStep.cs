namespace SnapshotTools.Qcow2;

/// <summary>A stretch of the guest's disk that is copied at once.</summary>
/// <param name="Offset">Where it begins.</param>
/// <param name="Count">Its length in bytes.</param>
/// <param name="Source">The source's extent that it begins in.</param>
internal readonly record struct CopyStep(long Offset, long Count, MapExtent Source)
{
    /// <summary>The first guest byte after it.</summary>
    public long End => Offset + Count;
}
