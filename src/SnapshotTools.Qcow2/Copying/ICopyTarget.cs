using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>Where a copy goes: clusters of a qcow2 image, or the bytes of a raw file.</summary>
internal interface ICopyTarget
{
    /// <summary>Bytes of what is reserved and filled as a whole.</summary>
    int UnitSize { get; }

    /// <summary>The file that reserved ranges are in.</summary>
    IBlockFile File { get; }

    /// <summary>Places for a range of whole units.</summary>
    IReadOnlyList<ReservedRange> Reserve(long offset, long count);

    /// <summary>Takes the filled ranges as the guest's data.</summary>
    void Place(IReadOnlyList<ReservedRange> ranges);

    /// <summary>Gives ranges back that were not filled.</summary>
    void GiveBack(IReadOnlyList<ReservedRange> ranges);

    /// <summary>Writes a range that is not of whole units.</summary>
    void Write(long offset, ReadOnlySpan<byte> data);

    /// <summary>Makes all that was placed and written durable.</summary>
    void Flush();
}

/// <summary>A new raw file: every byte has its place already.</summary>
internal sealed class RawTarget(IBlockFile file) : ICopyTarget
{
    public int UnitSize => 1;

    public IBlockFile File => file;

    public IReadOnlyList<ReservedRange> Reserve(long offset, long count) => [new ReservedRange(offset, count, offset, IsNew: true)];

    public void Place(IReadOnlyList<ReservedRange> ranges)
    {
    }

    public void GiveBack(IReadOnlyList<ReservedRange> ranges)
    {
    }

    public void Write(long offset, ReadOnlySpan<byte> data) => file.Write(offset, data);

    public void Flush() => file.Flush();
}

/// <summary>An image that is open for writing.</summary>
internal sealed class Qcow2Target(Qcow2Image image) : ICopyTarget
{
    public int UnitSize => image.Header.ClusterSize;

    public IBlockFile File => image.FileOf(0)!;

    public IReadOnlyList<ReservedRange> Reserve(long offset, long count) => image.Reserve(offset, count);

    public void Place(IReadOnlyList<ReservedRange> ranges) => image.Place(ranges);

    public void GiveBack(IReadOnlyList<ReservedRange> ranges) => image.GiveBack(ranges);

    public void Write(long offset, ReadOnlySpan<byte> data) => image.Write(offset, data);

    public void Flush() => image.Flush();
}
