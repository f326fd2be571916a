using System.Collections.Concurrent;
using System.IO.Compression;

namespace SnapshotTools.Qcow2;

/// <summary>Expands compressed data to one cluster, never writing more whatever the data says.</summary>
internal static class ClusterCompression
{
    /// <summary>Largest window that a zstd frame may ask for: that of the largest cluster. libzstd alone would let a hostile
    /// frame have 128 MiB.</summary>
    private const int ZstdWindowLogMax = 21;

    private static readonly ConcurrentBag<ZstdContext> ZstdContexts = [];

    /// <summary>Expands one cluster. <paramref name="source"/> may go on after the compressed data: it is whole sectors, and
    /// the next cluster's data may begin in the last.</summary>
    /// <exception cref="Qcow2Exception">The data is malformed, or too short for a cluster, or (zstd) its last frame goes on
    /// after the cluster; or the library for the type is missing.</exception>
    public static void Expand(CompressionType type, ReadOnlySpan<byte> source, Span<byte> cluster, string path)
    {
        bool whole;
        try
        {
            whole = !source.IsEmpty && (type == CompressionType.Zstd ? TryExpandZstd(source, cluster) : Libdeflate.TryExpand(source, cluster) || TryExpandStream(source, cluster));
        }
        catch (NotSupportedException e)
        {
            throw new Qcow2Exception(Qcow2ErrorCode.UnsupportedFeature, path, $"A cluster of '{path}' cannot be read: {e.Message}", e);
        }
        if (!whole)
        {
            throw new Qcow2Exception(Qcow2ErrorCode.InvalidCompressedData, path,
                $"A compressed cluster of '{path}' does not expand to {cluster.Length} bytes of {type} data. The image is damaged there; restore it from a copy.");
        }
    }

    /// <summary>Raw deflate without a zlib header. As the specification says, expansion stops when the cluster is full, even
    /// in the middle of the stream, which libdeflate refuses.</summary>
    internal static unsafe bool TryExpandStream(ReadOnlySpan<byte> compressed, Span<byte> cluster)
    {
        fixed (byte* bytes = compressed)
        {
            using var source = new UnmanagedMemoryStream(bytes, compressed.Length);
            using var deflate = new DeflateStream(source, CompressionMode.Decompress);
            try
            {
                return deflate.ReadAtLeast(cluster, cluster.Length, throwOnEndOfStream: false) == cluster.Length;
            }
            catch (InvalidDataException)
            {
                return false;
            }
        }
    }

    /// <summary>A cluster may consist of several frames; the last one must end with the cluster, as QEMU demands.</summary>
    private static unsafe bool TryExpandZstd(ReadOnlySpan<byte> compressed, Span<byte> cluster)
    {
        if (!ZstdContexts.TryTake(out ZstdContext? context)) context = ZstdContext.Create(ZstdWindowLogMax);
        try
        {
            context.Reset();
            fixed (byte* source = compressed)
            fixed (byte* target = cluster)
            {
                var input = new ZstdNative.Buffer { Start = source, Size = (nuint)compressed.Length };
                var output = new ZstdNative.Buffer { Start = target, Size = (nuint)cluster.Length };
                nuint left = 0;
                while (output.Position < output.Size)
                {
                    (nuint inputBefore, nuint outputBefore) = (input.Position, output.Position);
                    left = ZstdNative.DecompressStream(context, ref output, ref input);
                    bool stuck = input.Position == inputBefore && output.Position == outputBefore;
                    if (ZstdNative.IsError(left) != 0 || stuck) return false;
                }
                return left == 0;
            }
        }
        finally
        {
            ZstdContexts.Add(context);
        }
    }
}
