namespace SnapshotTools.Qcow2;

/// <summary>A dirty bitmap that is stored in an image (qcow2 specification, "Bitmap directory").</summary>
public sealed record PersistentBitmap
{
    /// <summary>Its name, unique in the image.</summary>
    public required string Name { get; init; }

    /// <summary>It was not saved properly, by a QEMU that runs or died: its content means nothing.</summary>
    public required bool InUse { get; init; }

    /// <summary>It is enabled: every writer of the image must note its changes in it.</summary>
    public required bool Auto { get; init; }

    /// <summary>Whether one who does not know its extra data may use it all the same.</summary>
    public required bool ExtraDataCompatible { get; init; }

    /// <summary>Bytes of the disk that one bit stands for.</summary>
    public required long Granularity { get; init; }

    /// <summary>Host offset of its table.</summary>
    public required long TableOffset { get; init; }

    /// <summary>Entries of its table.</summary>
    public required int TableEntries { get; init; }

    /// <summary>Extra data, byte for byte.</summary>
    public ReadOnlyMemory<byte> ExtraData { get; init; }

    /// <summary>Where its entry is, within the directory.</summary>
    internal int EntryPlace { get; init; }
}

/// <summary>The bitmaps of an image.</summary>
/// <param name="Consistent">False when a writer that does not know bitmaps changed the image since: their content means nothing.</param>
/// <param name="Bitmaps">The bitmaps in their order.</param>
public sealed record BitmapDirectory(bool Consistent, IReadOnlyList<PersistentBitmap> Bitmaps)
{
    /// <summary>Host offset of the directory; 0 when there is none.</summary>
    internal long Offset { get; init; }

    /// <summary>Its length in bytes.</summary>
    internal long Bytes { get; init; }
}
