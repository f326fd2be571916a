namespace SnapshotTools.Qcow2;

/// <summary>Features that a reader must know to open an image (qcow2 specification, header bytes 72 to 79).</summary>
[Flags]
public enum IncompatibleFeatures : ulong
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>Reference counts may be inconsistent.</summary>
    Dirty = 1,

    /// <summary>Any structure may be corrupt.</summary>
    Corrupt = 2,

    /// <summary>Data is in another file.</summary>
    ExternalDataFile = 4,

    /// <summary>The compression type is not zlib.</summary>
    CompressionType = 8,

    /// <summary>L2 entries of 128 bits with subclusters.</summary>
    ExtendedL2 = 16,
}

/// <summary>How compressed clusters are compressed (header byte 104).</summary>
public enum CompressionType
{
    /// <summary>Deflate.</summary>
    Zlib = 0,

    /// <summary>Zstandard.</summary>
    Zstd = 1,
}

/// <summary>The header of a qcow2 image, checked (qcow2 specification, "Header").</summary>
public sealed record Qcow2Header
{
    /// <summary>2 or 3.</summary>
    public required int Version { get; init; }

    /// <summary>Size of the guest's disk in bytes.</summary>
    public required long VirtualSize { get; init; }

    /// <summary>log2 of the cluster size.</summary>
    public required int ClusterBits { get; init; }

    /// <summary>Cluster size in bytes.</summary>
    public int ClusterSize => 1 << ClusterBits;

    /// <summary>log2 of the width of a reference count.</summary>
    public int RefcountOrder { get; init; } = 4;

    /// <summary>Width of a reference count in bits.</summary>
    public int RefcountBits => 1 << RefcountOrder;

    /// <summary>Entries of the active L1 table.</summary>
    public required int L1Entries { get; init; }

    /// <summary>Host offset of the active L1 table.</summary>
    public required long L1Offset { get; init; }

    /// <summary>Host offset of the refcount table.</summary>
    public required long RefcountTableOffset { get; init; }

    /// <summary>Clusters of the refcount table.</summary>
    public required int RefcountTableClusters { get; init; }

    /// <summary>Internal snapshots.</summary>
    public int SnapshotCount { get; init; }

    /// <summary>Host offset of the table of internal snapshots.</summary>
    public long SnapshotsOffset { get; init; }

    /// <summary>Features that a reader must know.</summary>
    public IncompatibleFeatures IncompatibleFeatures { get; init; }

    /// <summary>Features that anyone may ignore.</summary>
    public ulong CompatibleFeatures { get; init; }

    /// <summary>Features whose bit a writer that does not know them clears. Bit 0: the bitmaps are consistent.</summary>
    public ulong AutoclearFeatures { get; init; }

    /// <summary>Whether L2 entries are of the extended kind.</summary>
    public bool ExtendedL2 => (IncompatibleFeatures & IncompatibleFeatures.ExtendedL2) != 0;

    /// <summary>How compressed clusters are compressed.</summary>
    public CompressionType CompressionType { get; init; }

    /// <summary>Length of the header structure in bytes; extensions follow it.</summary>
    public required int HeaderLength { get; init; }

    /// <summary>The name of the backing file as recorded, or null.</summary>
    public string? BackingFile { get; init; }

    /// <summary>Where that name is stored; 0 without one.</summary>
    public long BackingFileOffset { get; init; }

    /// <summary>Fields of a later version of the format, between ours and <see cref="HeaderLength"/>, kept byte for byte.</summary>
    internal ReadOnlyMemory<byte> UnknownFields { get; init; }
}
