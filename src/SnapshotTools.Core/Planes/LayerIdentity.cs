namespace SnapshotTools.Core;

/// <summary>What a layer carries of itself, so that a lost catalog can be rebuilt from the files.</summary>
public sealed record LayerIdentity
{
    /// <summary>The store's id.</summary>
    public required Guid Store { get; init; }

    /// <summary>The volume's id.</summary>
    public required Guid Volume { get; init; }

    /// <summary>The volume's name when the layer was made.</summary>
    public required string VolumeName { get; init; }

    /// <summary>The layer's own id.</summary>
    public required Guid Layer { get; init; }

    /// <summary>The id of the layer under it.</summary>
    public Guid? Parent { get; init; }

    /// <summary>The snapshot that ends in the parent and that this layer goes on from.</summary>
    public SnapshotIdentity? Snapshot { get; init; }

    /// <summary>When the layer was made.</summary>
    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>The identity as a layer carries it.</summary>
    public string ToJson() => Engine.Json.Write(this);

    /// <summary>Reads <see cref="ToJson"/>; null for what is no identity.</summary>
    public static LayerIdentity? FromJson(string text)
    {
        try
        {
            return Engine.Json.Read<LayerIdentity>(text);
        }
        catch (Exception error) when (error is System.Text.Json.JsonException or SnapshotException)
        {
            return null;
        }
    }
}

/// <summary>What a layer carries of the snapshot that it goes on from.</summary>
public sealed record SnapshotIdentity
{
    /// <summary>The volume snapshot's id.</summary>
    public required Guid Id { get; init; }

    /// <summary>Its parent's id.</summary>
    public Guid? Parent { get; init; }

    /// <summary>The VM snapshot that it is part of.</summary>
    public Guid? VmSnapshot { get; init; }

    /// <summary>The VM snapshot's parent.</summary>
    public Guid? VmSnapshotParent { get; init; }

    /// <summary>Its name.</summary>
    public required string Name { get; init; }

    /// <summary>When it was taken.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>Its description.</summary>
    public string? Description { get; init; }

    /// <summary>Its tags.</summary>
    public IReadOnlyList<string> Tags { get; init; } = [];

    /// <summary>After when it is no longer wanted.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>Which volumes the VM snapshot covers.</summary>
    public SnapshotScope Scope { get; init; }

    /// <summary>What was achieved.</summary>
    public SnapshotConsistency Consistency { get; init; }

    /// <summary>The VM as it was.</summary>
    public VmConfiguration? Vm { get; init; }
}

/// <summary>A VM's configuration at one moment.</summary>
public sealed record VmConfiguration
{
    /// <summary>The VM's id.</summary>
    public required Guid Id { get; init; }

    /// <summary>Its name.</summary>
    public required string Name { get; init; }

    /// <summary>Virtual processors.</summary>
    public required int ProcessorCount { get; init; }

    /// <summary>Memory in bytes.</summary>
    public required long MemoryBytes { get; init; }

    /// <summary>Network adapters.</summary>
    public required IReadOnlyList<VmNetworkAdapter> NetworkAdapters { get; init; }

    /// <summary>How it boots.</summary>
    public required VmBoot Boot { get; init; }

    /// <summary>The attached volumes.</summary>
    public required IReadOnlyList<VmAttachment> Volumes { get; init; }

    /// <summary>Its description.</summary>
    public string? Description { get; init; }
}
