namespace SnapshotTools.Core;

/// <summary>Format of a layer.</summary>
public enum LayerFormat
{
    /// <summary>qcow2.</summary>
    Qcow2,

    /// <summary>Raw: only ever an adopted base.</summary>
    Raw,
}

/// <summary>The file, or object, that a layer is.</summary>
/// <param name="Id">The layer's id.</param>
/// <param name="Location">Name within the store, or the absolute path of an adopted image.</param>
/// <param name="Format">Its format.</param>
/// <param name="External">Whether it lies outside of the store and is only ever read.</param>
public sealed record LayerFile(Guid Id, string Location, LayerFormat Format, bool External);

/// <summary>A layer to be made.</summary>
/// <param name="File">The file it will be.</param>
/// <param name="Parent">The layer under it, if any.</param>
/// <param name="Size">Virtual size in bytes.</param>
/// <param name="ClusterSize">Cluster size in bytes.</param>
/// <param name="Identity">What it carries of itself.</param>
public sealed record NewLayer(LayerFile File, LayerFile? Parent, long Size, int ClusterSize, LayerIdentity Identity)
{
    /// <summary>Whether what the parent holds is on the disk already, since it was frozen before. Otherwise that is seen to when the layer is made.</summary>
    public bool IsParentDurable { get; init; }
}

/// <summary>What a layer is on disk.</summary>
/// <param name="AllocatedBytes">Bytes that it occupies.</param>
/// <param name="Length">Bytes of the file.</param>
/// <param name="ModifiedAt">When it was last changed.</param>
public sealed record LayerFacts(long AllocatedBytes, long Length, DateTimeOffset ModifiedAt);

/// <summary>A layer file as it was found.</summary>
/// <param name="Location">Where: within the store, or an absolute path.</param>
/// <param name="Identity">What it says of itself, if anything.</param>
/// <param name="Backing">The location of the file that it names as its base.</param>
/// <param name="BackingFormat">The base's format.</param>
/// <param name="Size">Virtual size in bytes.</param>
/// <param name="ClusterSize">Cluster size in bytes.</param>
/// <param name="Error">Why it cannot be read.</param>
public sealed record FoundLayer(string Location, LayerIdentity? Identity, string? Backing, LayerFormat BackingFormat, long Size, int ClusterSize, string? Error);
