namespace SnapshotTools.Core;

/// <summary>A VM instance to be made.</summary>
public sealed record NewVmRequest
{
    /// <summary>Its name.</summary>
    public required string Name { get; init; }

    /// <summary>Virtual processors, 1 to 1024.</summary>
    public int ProcessorCount { get; init; } = 1;

    /// <summary>Memory in bytes, at least 1 MiB.</summary>
    public long MemoryBytes { get; init; } = 1L << 30;

    /// <summary>The volumes in order.</summary>
    public IReadOnlyList<AttachRequest> Volumes { get; init; } = [];

    /// <summary>The network adapters in order; a null address gets one of its own.</summary>
    public IReadOnlyList<VmNetworkAdapter> NetworkAdapters { get; init; } = [];

    /// <summary>How it boots.</summary>
    public VmBoot Boot { get; init; } = VmBoot.Default;

    /// <summary>What it is for.</summary>
    public string? Description { get; init; }
}

/// <summary>Changes to a VM's configuration. What is null stays; an empty text removes what was there.</summary>
public sealed record VmChanges
{
    /// <summary>Virtual processors, 1 to 1024.</summary>
    public int? ProcessorCount { get; init; }

    /// <summary>Memory in bytes, at least 1 MiB.</summary>
    public long? MemoryBytes { get; init; }

    /// <summary>The network adapters, in place of all earlier ones.</summary>
    public IReadOnlyList<VmNetworkAdapter>? NetworkAdapters { get; init; }

    /// <summary>What it is for.</summary>
    public string? Description { get; init; }

    /// <inheritdoc cref="VmBoot.Firmware"/>
    public string? Firmware { get; init; }

    /// <inheritdoc cref="VmBoot.FirmwareVariables"/>
    public string? FirmwareVariables { get; init; }

    /// <inheritdoc cref="VmBoot.Kernel"/>
    public string? Kernel { get; init; }

    /// <inheritdoc cref="VmBoot.Initrd"/>
    public string? Initrd { get; init; }

    /// <inheritdoc cref="VmBoot.KernelCommandLine"/>
    public string? KernelCommandLine { get; init; }

    /// <summary>Arguments for the hypervisor, in place of all earlier ones.</summary>
    public IReadOnlyList<string>? ExtraArguments { get; init; }
}

/// <summary>A volume to be attached.</summary>
/// <param name="Volume">Name or id of the volume.</param>
/// <param name="Boot">Whether the VM boots from it; null: the first volume of a VM does.</param>
/// <param name="Shared">Whether other VMs may have it as well.</param>
/// <param name="Bus">The bus.</param>
public sealed record AttachRequest(string Volume, bool? Boot = null, bool Shared = false, DiskBus Bus = DiskBus.Virtio);

/// <summary>A volume to be made.</summary>
public sealed record NewVolumeRequest
{
    /// <summary>Its name.</summary>
    public required string Name { get; init; }

    /// <summary>Size in bytes (rounded up to 512): of an empty volume; or, larger than the image's, of an imported one.</summary>
    public long? SizeBytes { get; init; }

    /// <summary>Image file to import or adopt.</summary>
    public string? ImagePath { get; init; }

    /// <summary>Format of the image; null takes it from the file name's ending (.qcow2, .raw, .img) and never from the content.</summary>
    public ImageFileFormat? ImageFormat { get; init; }

    /// <summary>Leaves the image where it is, as the base that is only read, instead of copying it.</summary>
    public bool Adopt { get; init; }

    /// <summary>Files that the image may have as its backing chain; none is followed unless it is named here.</summary>
    public IReadOnlyList<string> AllowedBackingFiles { get; init; } = [];

    /// <summary>Snapshot to make the volume from (linked: it keeps the snapshot's layer as its base).</summary>
    public Guid? FromVolumeSnapshot { get; init; }

    /// <summary>Cluster size of its layers in bytes, a power of two from 4 KiB to 2 MiB.</summary>
    public int ClusterSize { get; init; } = 64 << 10;

    /// <summary>What it is for.</summary>
    public string? Description { get; init; }
}

/// <summary>Format of an image file.</summary>
public enum ImageFileFormat
{
    /// <summary>The bytes of the disk as they are.</summary>
    Raw,

    /// <summary>QEMU's copy-on-write format, version 2 or 3.</summary>
    Qcow2,
}

/// <summary>A VM snapshot to be taken.</summary>
public sealed record NewSnapshotRequest
{
    /// <summary>Name or id of the VM.</summary>
    public required string Vm { get; init; }

    /// <summary>Its name; null makes one of the time, such as <c>2026-11-21T09-30-00Z</c>.</summary>
    public string? Name { get; init; }

    /// <summary>Which volumes.</summary>
    public SnapshotScope Scope { get; init; } = SnapshotScope.All;

    /// <summary>The volumes, with scope <see cref="SnapshotScope.Named"/>: names or ids.</summary>
    public IReadOnlyList<string> Volumes { get; init; } = [];

    /// <summary>What it is taken for.</summary>
    public string? Description { get; init; }

    /// <summary>Words to find it by.</summary>
    public IReadOnlyList<string> Tags { get; init; } = [];

    /// <summary>After when it is no longer wanted.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>Makes it a checkpoint: the running VM's memory is saved with it.</summary>
    public bool Memory { get; init; }

    /// <summary>Whether the guest's file systems are frozen for it.</summary>
    public FileSystemFreeze Freeze { get; init; }

    /// <summary>The longest pause that the guest may feel; a longer one gives up with nothing changed.</summary>
    public TimeSpan? MaxPause { get; init; }

    /// <summary>Gives back the snapshot of that name when there is one, instead of an error.</summary>
    public bool Ensure { get; init; }
}

/// <summary>Whether a guest's file systems are frozen for a snapshot.</summary>
public enum FileSystemFreeze
{
    /// <summary>They are not.</summary>
    No,

    /// <summary>They are, where the guest's agent can; else the snapshot is taken all the same, with a warning.</summary>
    Preferred,

    /// <summary>They are, or the snapshot is not taken.</summary>
    Required,
}

/// <summary>Which VM snapshots are wanted. Conditions that are null do not count.</summary>
public sealed record SnapshotQuery
{
    /// <summary>Patterns with wildcards, or ids, of VMs; empty: all.</summary>
    public IReadOnlyList<string> Vms { get; init; } = [];

    /// <summary>Patterns with wildcards, or ids, of snapshots; empty: all.</summary>
    public IReadOnlyList<string> Names { get; init; } = [];

    /// <summary>Patterns of tags that it must have, all of them.</summary>
    public IReadOnlyList<string> Tags { get; init; } = [];

    /// <summary>Taken before.</summary>
    public DateTimeOffset? Before { get; init; }

    /// <summary>Taken at or after.</summary>
    public DateTimeOffset? After { get; init; }

    /// <summary>No longer wanted at this time.</summary>
    public DateTimeOffset? ExpiredAt { get; init; }

    /// <summary>Only the youngest of each VM.</summary>
    public bool Latest { get; init; }
}

/// <summary>A restore of a VM.</summary>
public sealed record RestoreRequest
{
    /// <summary>The VM: name or id.</summary>
    public required string Vm { get; init; }

    /// <summary>The snapshot: name or id; null goes on with the failed restore that the VM is in state Error for.</summary>
    public string? Snapshot { get; init; }

    /// <summary>Only these of the snapshot's volumes; empty: all of them.</summary>
    public IReadOnlyList<string> Volumes { get; init; } = [];

    /// <summary>Keeps the backup snapshot of the present state.</summary>
    public bool KeepBackup { get; init; }

    /// <summary>What to do when it fails, or how to end a restore that failed.</summary>
    public FailAction FailAction { get; init; }

    /// <summary>May stop a running VM.</summary>
    public bool StopVm { get; init; }

    /// <summary>Starts the VM afterwards.</summary>
    public bool Start { get; init; }

    /// <summary>Gives the VM a new generation id, by which its guest knows that it is another copy of itself.</summary>
    public bool NewGenerationId { get; init; }
}

/// <summary>What a restore does when it fails.</summary>
public enum FailAction
{
    /// <summary>Leaves the VM in state Error with its backup snapshot.</summary>
    None,

    /// <summary>Goes on from where it stood.</summary>
    Retry,

    /// <summary>Returns to the state before the restore.</summary>
    Rollback,
}

/// <summary>A removal of VM snapshots.</summary>
public sealed record RemoveSnapshotRequest
{
    /// <summary>The VM: name or id.</summary>
    public required string Vm { get; init; }

    /// <summary>The snapshot: name or id.</summary>
    public required string Snapshot { get; init; }

    /// <summary>Removes its descendants too.</summary>
    public bool IncludeChildren { get; init; }

    /// <summary>Forgets the VM snapshot and leaves its volume snapshots.</summary>
    public bool MetadataOnly { get; init; }

    /// <summary>What becomes of linked clones that lie on it.</summary>
    public DependantAction Dependants { get; init; }
}

/// <summary>Changes to a snapshot's description, tags and expiry. What is null stays.</summary>
public sealed record SnapshotChanges
{
    /// <summary>New description; empty removes it.</summary>
    public string? Description { get; init; }

    /// <summary>New tags, in place of all earlier ones.</summary>
    public IReadOnlyList<string>? Tags { get; init; }

    /// <summary>New expiry.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>Removes the expiry.</summary>
    public bool NeverExpires { get; init; }
}
