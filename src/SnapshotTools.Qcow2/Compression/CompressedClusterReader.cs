using System.Buffers;
using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>Reads the compressed clusters of one image; keeps the last few expanded, since guests read in smaller steps.
/// May be used from several threads at once.</summary>
internal sealed class CompressedClusterReader(IBlockFile file, Geometry geometry, CompressionType type)
{
    /// <summary>Memory for expanded clusters; one cluster is kept even where it is larger.</summary>
    private const int CacheBytes = 1 << 20;

    private readonly ExpandedClusterCache _cache = new(Math.Max(1, CacheBytes >> geometry.ClusterBits));

    /// <summary>Reads a part of the compressed cluster that an L2 entry describes.</summary>
    /// <param name="l2Entry">The entry (its first 64 bits where entries are extended).</param>
    /// <param name="offsetInCluster">First byte wanted, within the expanded cluster.</param>
    /// <param name="buffer">Where the bytes go; at most up to the end of the cluster.</param>
    /// <exception cref="Qcow2Exception">The data lies outside of the file, or does not expand to a cluster.</exception>
    public void Read(ulong l2Entry, int offsetInCluster, Span<byte> buffer)
    {
        CompressedRange range = CompressedRange.FromEntry(l2Entry, geometry.ClusterBits);
        if (buffer.Length == geometry.ClusterSize)
        {
            Expand(range, buffer);
            return;
        }
        if (_cache.TryRead(l2Entry, offsetInCluster, buffer)) return;
        byte[] cluster = _cache.TakeSpare(geometry.ClusterSize);
        Expand(range, cluster);
        cluster.AsSpan(offsetInCluster, buffer.Length).CopyTo(buffer);
        _cache.Add(l2Entry, cluster);
    }

    /// <summary>Forgets what was expanded, because places of the file were freed and may be used again.</summary>
    public void Forget() => _cache.Clear();

    private void Expand(CompressedRange range, Span<byte> cluster)
    {
        CheckBounds(range);
        byte[] compressed = ArrayPool<byte>.Shared.Rent(range.Count);
        try
        {
            // The file may end inside the last sector: what is there must be enough.
            int count = file.Read(range.Offset, compressed.AsSpan(0, range.Count));
            ClusterCompression.Expand(type, compressed.AsSpan(0, count), cluster, file.Path);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(compressed);
        }
    }

    private void CheckBounds(CompressedRange range)
    {
        if (range.Offset is < 0 or >= Limits.MaxHostOffset || range.Offset < geometry.ClusterSize)
        {
            throw new Qcow2Exception(Qcow2ErrorCode.InvalidTable, file.Path,
                $"An L2 entry of '{file.Path}' places compressed data at {range.Offset}, which is {(range.Offset < geometry.ClusterSize ? "in the header" : "beyond the format's limit")}.");
        }
        // As in QEMU, the last cluster of the file counts as whole.
        if (range.End > geometry.ClustersFor(file.Length) << geometry.ClusterBits)
        {
            throw new Qcow2Exception(Qcow2ErrorCode.Truncated, file.Path,
                $"Compressed data at {range.Offset} to {range.End} lies past the end of '{file.Path}' ({file.Length} bytes). The file was cut, or its L2 table is damaged.");
        }
    }
}
