using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>A disk as its guest sees it: a raw file, one qcow2 layer, or a layer over its chain of backing files.</summary>
public interface IDiskImage : IDisposable
{
    /// <summary>Opens a file as the format that the caller says it has; nothing is guessed from its content.</summary>
    static IDiskImage Open(IFileSystem fs, string path, ImageFormat format, ImageOpenOptions options) =>
        format == ImageFormat.Raw ? RawImage.Open(fs, path, options) : Qcow2Image.Open(fs, path, options);

    /// <summary>The path of the file (of the topmost file of a chain).</summary>
    string Path { get; }

    /// <summary>Size of the guest's disk in bytes.</summary>
    long VirtualSize { get; }

    /// <summary>False when the image was opened for reading only.</summary>
    bool CanWrite { get; }

    /// <summary>Reads the guest's view, through the chain.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not within the disk.</exception>
    /// <exception cref="Qcow2Exception">The image is damaged there, or needs a backing file that was not opened.</exception>
    void Read(long offset, Span<byte> buffer);

    /// <summary>What holds each part of a range of the guest's view, in order, adjacent ranges of one kind merged.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not within the disk.</exception>
    IEnumerable<MapExtent> Map(long offset, long count);
}

/// <summary>The format of an image file.</summary>
public enum ImageFormat
{
    /// <summary>The bytes of the disk as they are.</summary>
    Raw,

    /// <summary>QEMU's qcow2, version 2 or 3.</summary>
    Qcow2,
}

/// <summary>How a range of the guest's disk is held.</summary>
public enum ExtentKind
{
    /// <summary>Nothing in this layer, or in any layer of the chain: the backing file shows through, or zeroes.</summary>
    Unallocated,

    /// <summary>Bytes at a host offset.</summary>
    Data,

    /// <summary>Reads as zeroes without any data.</summary>
    Zero,

    /// <summary>One compressed cluster (or a part of it) whose data begins at the host offset.</summary>
    Compressed,
}

/// <summary>A range of a guest's disk that is held in one way.</summary>
/// <param name="Offset">Where it begins on the guest's disk, in bytes.</param>
/// <param name="Count">Its length in bytes.</param>
/// <param name="Kind">How it is held.</param>
/// <param name="Layer">Which file of the chain holds it: 0 is the image itself, 1 its backing file, and so on. For
/// <see cref="ExtentKind.Unallocated"/> the deepest layer that was asked.</param>
/// <param name="HostOffset">Where the data begins in that file, or -1 where there is none. For a compressed cluster, where
/// its compressed data begins. For <see cref="ExtentKind.Zero"/>, the cluster that is kept allocated for it, if any.</param>
public readonly record struct MapExtent(long Offset, long Count, ExtentKind Kind, int Layer, long HostOffset)
{
    /// <summary>The first byte after the range.</summary>
    public long End => Offset + Count;
}

/// <summary>What one layer holds by itself.</summary>
/// <param name="DataBytes">Guest bytes held as plain data.</param>
/// <param name="ZeroBytes">Guest bytes recorded as zeroes.</param>
/// <param name="CompressedBytes">Guest bytes held compressed.</param>
/// <param name="HostBytes">Bytes of the file that hold the guest's data: whole clusters, and the sectors of compressed data.</param>
public readonly record struct LayerUsage(long DataBytes, long ZeroBytes, long CompressedBytes, long HostBytes);
