namespace SnapshotTools.Core;

/// <summary>A store and what is in it.</summary>
public sealed record StoreInfo
{
    /// <summary>The store's id, which every layer of it carries.</summary>
    public required Guid Id { get; init; }

    /// <summary>Where it is.</summary>
    public required string Path { get; init; }

    /// <summary>The version of its catalog's schema.</summary>
    public required int SchemaVersion { get; init; }

    /// <summary>Number of VM instances.</summary>
    public required int VmCount { get; init; }

    /// <summary>Number of volumes.</summary>
    public required int VolumeCount { get; init; }

    /// <summary>Number of VM snapshots.</summary>
    public required int SnapshotCount { get; init; }

    /// <summary>Number of layers.</summary>
    public required int LayerCount { get; init; }

    /// <summary>Bytes on disk of all layers in the store.</summary>
    public required long AllocatedBytes { get; init; }

    /// <summary>Free bytes on its file system.</summary>
    public required long FreeBytes { get; init; }

    /// <summary>When it was made.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <inheritdoc/>
    public override string ToString() => Path;
}

/// <summary>Something that a test of the store found.</summary>
/// <param name="Severity">How bad it is.</param>
/// <param name="Code">One word for one kind of finding; see <see cref="FindingCodes"/>.</param>
/// <param name="Subject">The file, volume or snapshot that it is about.</param>
/// <param name="Message">What is wrong, what it affects and what to do.</param>
public sealed record StoreFinding(FindingSeverity Severity, string Code, string Subject, string Message);

/// <summary>What a repair of the store did about one finding.</summary>
/// <param name="Code">The finding's kind, as <see cref="StoreFinding.Code"/>.</param>
/// <param name="Subject">The file, volume or snapshot that it is about.</param>
/// <param name="IsMended">False when it cannot be mended by itself.</param>
/// <param name="Message">What was done; or what is wrong, what it affects and what to do.</param>
public sealed record StoreRepair(string Code, string Subject, bool IsMended, string Message);

/// <summary>How bad a finding is.</summary>
public enum FindingSeverity
{
    /// <summary>Space is wasted, nothing is at risk.</summary>
    Information,

    /// <summary>Something is not as it should be, no data is affected.</summary>
    Warning,

    /// <summary>Data is affected.</summary>
    Error,
}
