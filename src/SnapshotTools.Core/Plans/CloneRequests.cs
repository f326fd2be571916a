namespace SnapshotTools.Core;

/// <summary>Clones to be made of volumes. All sources are of one instant.</summary>
public sealed record CloneRequest
{
    /// <summary>What is cloned.</summary>
    public required IReadOnlyList<CloneSource> Sources { get; init; }

    /// <summary>Stops at the linked clones: they keep their sources' layers as their bases, and nothing is copied.</summary>
    public bool Linked { get; init; }

    /// <summary>How the data is copied.</summary>
    public CopyPace Pace { get; init; } = CopyPace.Unlimited;
}

/// <summary>A volume to be cloned.</summary>
/// <param name="Volume">Its name or id.</param>
/// <param name="Snapshot">The id of the snapshot of it to be cloned; null clones its present.</param>
/// <param name="Name">The clone's name; null makes one of the source's, such as <c>data-copy</c>.</param>
/// <param name="Description">What the clone is for.</param>
public sealed record CloneSource(string Volume, Guid? Snapshot = null, string? Name = null, string? Description = null);

/// <summary>How fast clones are copied.</summary>
/// <param name="MaxBytesPerSecond">At most so many bytes a second for all copies of one call together; null as fast as it goes.</param>
/// <param name="MaxConcurrency">At most so many copies at once; null leaves it to who copies.</param>
public sealed record CopyPace(long? MaxBytesPerSecond = null, int? MaxConcurrency = null)
{
    /// <summary>As fast as it goes.</summary>
    public static CopyPace Unlimited { get; } = new();
}

/// <summary>Clones that were made. They can be used at once.</summary>
/// <param name="Volumes">The clones, in the order of their sources.</param>
/// <param name="Copies">The operations that copy their data, none for linked clones: to be run with <see cref="OperationService.Run"/>.</param>
public sealed record CloneResult(IReadOnlyList<VmVolume> Volumes, IReadOnlyList<SnapshotOperation> Copies);

/// <summary>Replicas of a VM to be made, of its present or of a snapshot; or VMs of a template.</summary>
public sealed record VmCloneRequest
{
    /// <summary>The VM or template: name or id.</summary>
    public required string Source { get; init; }

    /// <summary>The snapshot to make them of, by name or id; null for the present.</summary>
    public string? Snapshot { get; init; }

    /// <summary>Their name; of several, with <c>#</c> for the digits of a number, such as <c>web-##</c>. Null makes one, such as <c>web01-copy</c>.</summary>
    public string? Name { get; init; }

    /// <summary>How many.</summary>
    public int Count { get; init; } = 1;

    /// <summary>Stops at linked clones of the volumes.</summary>
    public bool Linked { get; init; }

    /// <summary>Virtual processors; null as many as the source has.</summary>
    public int? ProcessorCount { get; init; }

    /// <summary>Memory in bytes; null as much as the source has.</summary>
    public long? MemoryBytes { get; init; }

    /// <summary>What they are for; null as the source.</summary>
    public string? Description { get; init; }

    /// <summary>Of a checkpoint: the replica goes on from its memory when it is started.</summary>
    public bool IncludeMemory { get; init; }

    /// <summary>How the data is copied.</summary>
    public CopyPace Pace { get; init; } = CopyPace.Unlimited;
}

/// <summary>Replicas that were made. They can be used at once.</summary>
/// <param name="Vms">The replicas.</param>
/// <param name="Clones">Their volumes and the operations that copy their data.</param>
public sealed record VmCloneResult(IReadOnlyList<VmInstance> Vms, CloneResult Clones);

/// <summary>A template that was made.</summary>
/// <param name="Template">The template.</param>
/// <param name="Clones">Its volumes and the operations that copy their data.</param>
public sealed record TemplateResult(VmTemplate Template, CloneResult Clones);

/// <summary>What becomes of linked clones when the volume or snapshot that they lie on is removed.</summary>
public enum DependantAction
{
    /// <summary>They stand in the way.</summary>
    Refuse,

    /// <summary>It is removed for its users now; the layers that they need go with the last of them.</summary>
    Defer,

    /// <summary>They are made independent first, which copies their data.</summary>
    Flatten,
}
