namespace SnapshotTools.Core;

/// <summary>A VM's configuration and volumes, kept to make VMs of.</summary>
public sealed record VmTemplate
{
    /// <summary>Its id, which never changes.</summary>
    public required Guid Id { get; init; }

    /// <summary>Its name, unique among the store's templates and VMs (case does not count).</summary>
    public required string Name { get; init; }

    /// <summary>The store that holds it.</summary>
    public required string Store { get; init; }

    /// <summary>Number of virtual processors.</summary>
    public required int ProcessorCount { get; init; }

    /// <summary>Memory in bytes.</summary>
    public required long MemoryBytes { get; init; }

    /// <summary>Its volumes in order.</summary>
    public required IReadOnlyList<VmAttachment> Volumes { get; init; }

    /// <summary>The network adapters in order; each VM gets addresses of its own.</summary>
    public required IReadOnlyList<VmNetworkAdapter> NetworkAdapters { get; init; }

    /// <summary>How it boots.</summary>
    public required VmBoot Boot { get; init; }

    /// <summary>What it is for, in its owner's words.</summary>
    public string? Description { get; init; }

    /// <summary>Names of the volumes that are linked clones of its volumes.</summary>
    public required IReadOnlyList<string> LinkedClones { get; init; }

    /// <summary>When it was made.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <inheritdoc/>
    public override string ToString() => Name;
}
