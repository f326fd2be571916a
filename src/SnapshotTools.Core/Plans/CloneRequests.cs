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
