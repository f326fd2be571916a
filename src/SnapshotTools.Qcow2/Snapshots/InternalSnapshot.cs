namespace SnapshotTools.Qcow2;

/// <summary>A snapshot inside of an image (qcow2 specification, "Snapshot table entry").</summary>
public sealed record InternalSnapshot
{
    /// <summary>The unique id, usually a number.</summary>
    public required string Id { get; init; }

    /// <summary>The name that was given to it.</summary>
    public required string Name { get; init; }

    /// <summary>When it was taken.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>How long the guest had been running.</summary>
    public required TimeSpan GuestClock { get; init; }

    /// <summary>Bytes of saved memory and device state; 0 for a snapshot of the disk alone.</summary>
    public required long VmStateBytes { get; init; }

    /// <summary>Size of the guest's disk at that time in bytes; null where the snapshot does not record it.</summary>
    public required long? VirtualSize { get; init; }

    /// <summary>Instructions executed so far, when the guest was recorded for replay; else null.</summary>
    public required long? InstructionCount { get; init; }

    /// <summary>Host offset of its L1 table.</summary>
    public required long L1Offset { get; init; }

    /// <summary>Entries of its L1 table.</summary>
    public required int L1Entries { get; init; }

    /// <summary>The extra data of its entry, byte for byte, with the fields that no one knows yet.</summary>
    public ReadOnlyMemory<byte> ExtraData { get; init; }
}
