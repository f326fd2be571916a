namespace SnapshotTools.Core;

/// <summary>One consistent point over a set of a VM's volumes, with the VM's configuration.</summary>
public sealed record VmSnapshot
{
    /// <summary>Its id, which never changes.</summary>
    public required Guid Id { get; init; }

    /// <summary>Its name, unique on the VM (case does not count).</summary>
    public required string Name { get; init; }

    /// <summary>The VM's id.</summary>
    public required Guid VmId { get; init; }

    /// <summary>The VM's name.</summary>
    public required string VmName { get; init; }

    /// <summary>The store that holds it.</summary>
    public required string Store { get; init; }

    /// <summary>The snapshot that it descends from, or null for a root of the tree.</summary>
    public Guid? ParentId { get; init; }

    /// <summary>The name of the snapshot that it descends from.</summary>
    public string? ParentName { get; init; }

    /// <summary>When it was taken.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>What it was taken for.</summary>
    public string? Description { get; init; }

    /// <summary>Words to find it by.</summary>
    public required IReadOnlyList<string> Tags { get; init; }

    /// <summary>After when it is no longer wanted; nothing removes it by itself.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>Which volumes it covers.</summary>
    public required SnapshotScope Scope { get; init; }

    /// <summary>What was achieved.</summary>
    public required SnapshotConsistency Consistency { get; init; }

    /// <summary>Whether it is a checkpoint: the memory is part of it.</summary>
    public bool HasMemory { get; init; }

    /// <summary>Whether a restore took it of the state that it replaced.</summary>
    public bool IsBackup { get; init; }

    /// <summary>Whether the present descends from it directly.</summary>
    public bool IsCurrent { get; init; }

    /// <summary>Its volume snapshots, in the VM's order.</summary>
    public required IReadOnlyList<VolumeSnapshot> Volumes { get; init; }

    /// <summary>Names of the volumes that are linked clones of it: they lie on its layers.</summary>
    public IReadOnlyList<string> LinkedClones { get; init; } = [];

    /// <summary>Bytes on disk of the layers (and memory) that end in this snapshot: what was written since the one before it.</summary>
    public required long SizeBytes { get; init; }

    /// <summary>Bytes on disk of the saved memory; 0 without.</summary>
    public long MemorySizeBytes { get; init; }

    /// <summary>How long the guest stood still for it; null when it was not running.</summary>
    public TimeSpan? PauseDuration { get; init; }

    /// <inheritdoc/>
    public override string ToString() => Name;
}

/// <summary>A named frozen point of one volume.</summary>
public sealed record VolumeSnapshot
{
    /// <summary>Its id, which never changes.</summary>
    public required Guid Id { get; init; }

    /// <summary>Its name.</summary>
    public required string Name { get; init; }

    /// <summary>The volume's id.</summary>
    public required Guid VolumeId { get; init; }

    /// <summary>The volume's name.</summary>
    public required string VolumeName { get; init; }

    /// <summary>The store that holds it.</summary>
    public required string Store { get; init; }

    /// <summary>The volume snapshot that it descends from.</summary>
    public Guid? ParentId { get; init; }

    /// <summary>The VM snapshot that it is part of, or null.</summary>
    public Guid? VmSnapshotId { get; init; }

    /// <summary>When it was taken.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>What it was taken for.</summary>
    public string? Description { get; init; }

    /// <summary>The size that a guest saw, in bytes.</summary>
    public required long VirtualSizeBytes { get; init; }

    /// <summary>Bytes on disk of the layer that ends in this snapshot.</summary>
    public required long SizeBytes { get; init; }

    /// <summary>Names of the volumes that are linked clones of it: they lie on its layer.</summary>
    public IReadOnlyList<string> LinkedClones { get; init; } = [];

    /// <summary>The frozen layer's file: to be read by any tool, written by none.</summary>
    public required string Path { get; init; }

    /// <summary>Whether the present of the volume descends from it directly.</summary>
    public bool IsCurrent { get; init; }

    /// <inheritdoc/>
    public override string ToString() => Name;
}

/// <summary>Which volumes a VM snapshot covers.</summary>
public enum SnapshotScope
{
    /// <summary>All of the VM's volumes.</summary>
    All,

    /// <summary>The volumes that it boots from.</summary>
    Boot,

    /// <summary>The volumes that it does not boot from.</summary>
    Data,

    /// <summary>Volumes that were named.</summary>
    Named,
}

/// <summary>What can be relied on in a snapshot.</summary>
public enum SnapshotConsistency
{
    /// <summary>I/O was halted at one instant over all volumes (a stopped VM's snapshot is that and more).</summary>
    Crash,

    /// <summary>The guest's file systems were frozen.</summary>
    FileSystem,

    /// <summary>The memory is part of it: a checkpoint.</summary>
    Memory,
}
