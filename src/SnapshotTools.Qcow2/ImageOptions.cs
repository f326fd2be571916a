namespace SnapshotTools.Qcow2;

/// <summary>What an image may open besides its own file.</summary>
public enum BackingPolicy
{
    /// <summary>Nothing: the image is untrusted. Reads of what it does not hold itself fail with <see cref="Qcow2ErrorCode.BackingNotAllowed"/>.</summary>
    None,

    /// <summary>The files and directories of <see cref="ImageOpenOptions.AllowedBacking"/>, and what <see cref="ImageOpenOptions.ResolveBacking"/> answers.</summary>
    Allowed,
}

/// <summary>A backing file to be opened.</summary>
/// <param name="Path">Its absolute path.</param>
/// <param name="Format">Its format.</param>
public sealed record BackingTarget(string Path, ImageFormat Format);

/// <summary>Decides about the backing file of one layer.</summary>
/// <param name="layerPath">The layer that names it.</param>
/// <param name="backingFile">The name as recorded in the layer.</param>
/// <param name="format">The format as recorded in the layer.</param>
/// <returns>What to open, or null to refuse.</returns>
public delegate BackingTarget? BackingResolver(string layerPath, string backingFile, ImageFormat? format);

/// <summary>How an image is opened.</summary>
public sealed record ImageOpenOptions
{
    /// <summary>Whether the image (never its backing files) is opened for writing.</summary>
    public bool Write { get; init; }

    /// <summary>Whether the last part of the path may be a symbolic link. Only for paths that the user named.</summary>
    public bool FollowLinks { get; init; }

    /// <summary>What the image may open besides its own file.</summary>
    public BackingPolicy Backing { get; init; }

    /// <summary>Absolute paths of files, or of directories with all that is in them, that may be opened as backing files.</summary>
    public IReadOnlyList<string> AllowedBacking { get; init; } = [];

    /// <summary>Asked first for each layer's backing file; without it <see cref="AllowedBacking"/> alone decides.</summary>
    public BackingResolver? ResolveBacking { get; init; }

    /// <summary>The format of a backing file whose layer does not record it. It is never guessed from the content.</summary>
    public ImageFormat? DefaultBackingFormat { get; init; }

    /// <summary>Bytes of memory that the tables of the image and of its chain may take.</summary>
    public long CacheBytes { get; init; } = 32L << 20;

    /// <summary>Whether QEMU's image locks are taken and respected.</summary>
    public bool Lock { get; init; } = true;
}

/// <summary>How an image is created.</summary>
public sealed record ImageCreateOptions
{
    /// <summary>Size of the guest's disk in bytes: a multiple of 512.</summary>
    public required long VirtualSize { get; init; }

    /// <summary>2 or 3.</summary>
    public int Version { get; init; } = 3;

    /// <summary>Cluster size in bytes: a power of two from 512 to 2 MiB.</summary>
    public int ClusterSize { get; init; } = 64 << 10;

    /// <summary>Width of a reference count: 1, 2, 4, 8, 16, 32 or 64 bits.</summary>
    public int RefcountBits { get; init; } = 16;

    /// <summary>Extended L2 entries: each cluster is divided into 32 parts that are allocated by themselves.</summary>
    public bool ExtendedL2 { get; init; }

    /// <summary>How compressed clusters of the image will be compressed.</summary>
    public CompressionType CompressionType { get; init; }

    /// <summary>The name of the backing file as it is to be recorded: absolute, or relative to the directory of the new image.</summary>
    public string? BackingFile { get; init; }

    /// <summary>The format of the backing file; required when there is one.</summary>
    public ImageFormat? BackingFormat { get; init; }

    /// <summary>Further header extensions.</summary>
    public IReadOnlyList<HeaderExtension> Extensions { get; init; } = [];

    /// <summary>How the new image is opened: its backing policy, cache and lock. It is always writable.</summary>
    public ImageOpenOptions Open { get; init; } = new();
}
