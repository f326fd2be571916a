namespace SnapshotTools.Qcow2;

/// <summary>How far a copy has come.</summary>
/// <param name="DoneBytes">Guest bytes copied so far.</param>
/// <param name="TotalBytes">Guest bytes that there are to copy: data only, not holes and zeroes.</param>
/// <param name="ResumeOffset">Everything of the guest's disk before this offset is copied; it is durable if a <see cref="CopyOptions.CheckpointBytes"/> was set.</param>
public readonly record struct CopyProgress(long DoneBytes, long TotalBytes, long ResumeOffset);

/// <summary>How a copy is made.</summary>
public sealed record CopyOptions
{
    /// <summary>Parts that are copied at once; 0 leaves it to what is fast.</summary>
    public int Parallelism { get; init; }

    /// <summary>Whether blocks of zeroes in the data become holes. Reads all data; otherwise data may be shared or copied by the
    /// file system unseen. For sources that do not know their own holes.</summary>
    public bool DetectZeroes { get; init; }

    /// <summary>Goes on with a copy that was interrupted: the target file is there, with everything before this guest
    /// offset. Null begins a new file.</summary>
    public long? ResumeOffset { get; init; }

    /// <summary>Where the copy begins.</summary>
    internal long Start => ResumeOffset ?? 0;

    /// <summary>The most that is copied at once by one thread, so that a copy can be slowed down by those whom it reports to; 0 chooses by
    /// what is fast. Never less than a cluster.</summary>
    public long MaxStepBytes { get; init; }

    /// <summary>Makes the target durable after so many bytes, and only then moves <see cref="CopyProgress.ResumeOffset"/> on; 0 does so at the end only.</summary>
    public long CheckpointBytes { get; init; }
}
