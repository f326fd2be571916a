namespace SnapshotTools.Core;

/// <summary>A virtual disk in the store.</summary>
public sealed record VmVolume
{
    /// <summary>Its id, which never changes.</summary>
    public required Guid Id { get; init; }

    /// <summary>Its name, unique in the store (case does not count).</summary>
    public required string Name { get; init; }

    /// <summary>The store that holds it.</summary>
    public required string Store { get; init; }

    /// <summary>The size that a guest sees, in bytes.</summary>
    public required long SizeBytes { get; init; }

    /// <summary>Bytes on disk of all the layers that the present of this volume reads from, an adopted image included.</summary>
    public required long AllocatedBytes { get; init; }

    /// <summary>Bytes on disk that only the present of this volume needs: what removing nothing but its present would free.</summary>
    public required long ExclusiveBytes { get; init; }

    /// <summary>Bytes on disk that the present shares with snapshots, clones or an adopted image.</summary>
    public required long SharedBytes { get; init; }

    /// <summary>The path that always leads to the head, whatever snapshots come and go.</summary>
    public required string Path { get; init; }

    /// <summary>The file of the present head.</summary>
    public required string HeadPath { get; init; }

    /// <summary>Number of layers from the head down to the base.</summary>
    public required int ChainLength { get; init; }

    /// <summary>Number of its volume snapshots, those of VM snapshots included.</summary>
    public required int SnapshotCount { get; init; }

    /// <summary>Names of the VMs that it is attached to.</summary>
    public required IReadOnlyList<string> AttachedTo { get; init; }

    /// <summary>Names of the volumes that are linked clones of it: they lie on its layers.</summary>
    public IReadOnlyList<string> LinkedClones { get; init; } = [];

    /// <summary>The volume that it is a linked clone of, or null when it owns all of its data.</summary>
    public string? LinkedTo { get; init; }

    /// <summary>The image outside of the store that it was adopted from, which stays its base.</summary>
    public string? AdoptedFrom { get; init; }

    /// <summary>What it is for, in its owner's words.</summary>
    public string? Description { get; init; }

    /// <summary>When it was made.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <inheritdoc/>
    public override string ToString() => Name;
}
