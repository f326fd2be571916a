namespace SnapshotTools.Core;

/// <summary>A running or ended piece of work. It survives the process that began it.</summary>
public sealed record SnapshotOperation
{
    /// <summary>Its id.</summary>
    public required Guid Id { get; init; }

    /// <summary>What it does.</summary>
    public required OperationKind Kind { get; init; }

    /// <summary>What it works on: the name of a VM or volume, with the snapshot's behind a slash.</summary>
    public required string Target { get; init; }

    /// <summary>The store that it works in.</summary>
    public required string Store { get; init; }

    /// <summary>How far it is.</summary>
    public required OperationState State { get; init; }

    /// <summary>Bytes moved so far.</summary>
    public long BytesDone { get; init; }

    /// <summary>Bytes to be moved in all; 0 when nothing is copied.</summary>
    public long BytesTotal { get; init; }

    /// <summary>Bytes per second of late; 0 when nothing is copied at the moment.</summary>
    public long BytesPerSecond { get; init; }

    /// <summary>0 to 100.</summary>
    public int PercentComplete => State == OperationState.Completed ? 100 : BytesTotal <= 0 ? 0 : (int)Math.Min(99, BytesDone * 100 / BytesTotal);

    /// <summary>When it was begun.</summary>
    public required DateTimeOffset StartedAt { get; init; }

    /// <summary>When it ended.</summary>
    public DateTimeOffset? EndedAt { get; init; }

    /// <summary>The process that works or worked on it.</summary>
    public int ProcessId { get; init; }

    /// <summary>Why it failed.</summary>
    public string? Error { get; init; }

    /// <inheritdoc/>
    public override string ToString() => $"{Kind} {Target}";
}

/// <summary>What an operation does.</summary>
public enum OperationKind
{
    /// <summary>Takes a snapshot of a VM or volume.</summary>
    Snapshot,

    /// <summary>Restores a VM or volume.</summary>
    Restore,

    /// <summary>Removes snapshots, volumes or VMs.</summary>
    Remove,

    /// <summary>Merges or deletes layers that nobody needs.</summary>
    Collect,

    /// <summary>Makes a volume.</summary>
    CreateVolume,

    /// <summary>Copies an image into the store.</summary>
    Import,

    /// <summary>Makes clones; their data is copied by operations of their own.</summary>
    Clone,

    /// <summary>Changes a volume's size.</summary>
    Resize,

    /// <summary>Starts, stops, pauses or resumes a VM.</summary>
    Power,

    /// <summary>Copies a clone's data behind it, so that it no longer needs its source.</summary>
    Copy,

    /// <summary>Repairs a store.</summary>
    Repair,
}

/// <summary>How far an operation is.</summary>
public enum OperationState
{
    /// <summary>Waits for its turn.</summary>
    Pending,

    /// <summary>Is worked on.</summary>
    Running,

    /// <summary>Rests until it is resumed.</summary>
    Paused,

    /// <summary>Is done.</summary>
    Completed,

    /// <summary>Failed.</summary>
    Failed,

    /// <summary>Its process ended before it did.</summary>
    Interrupted,

    /// <summary>Was cancelled.</summary>
    Cancelled,
}
