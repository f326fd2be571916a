using System.IO.Compression;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Qcow2.Tests.Compression;

public class ClusterCompressionTests
{
    private const int Cluster = 65536;

    private static byte[] Content(int count)
    {
        var random = new Random(7);
        return [.. Enumerable.Range(0, count).Select(i => (byte)(random.Next(4) == 0 ? random.Next() : i >> 8))];
    }

    private static byte[] Deflate(byte[] content)
    {
        using var target = new MemoryStream();
        using (var deflate = new DeflateStream(target, CompressionLevel.Optimal)) deflate.Write(content);
        return target.ToArray();
    }

    private static byte[] Zstd(byte[] content, params string[] options)
    {
        using var folder = new TempFolder();
        File.WriteAllBytes(folder.File("in"), content);
        Tool.Run("zstd", ["-q", .. options, folder.File("in"), "-o", folder.File("out")]);
        return File.ReadAllBytes(folder.File("out"));
    }

    private static byte[] Expand(CompressionType type, byte[] source)
    {
        byte[] cluster = new byte[Cluster];
        ClusterCompression.Expand(type, source, cluster, "a.qcow2");
        return cluster;
    }

    private static void AssertRefused(CompressionType type, byte[] source)
    {
        var error = Assert.Throws<Qcow2Exception>(() => Expand(type, source));
        Assert.Equal(Qcow2ErrorCode.InvalidCompressedData, error.Code);
        Assert.Contains("a.qcow2", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Deflate_of_one_cluster_whatever_follows_it()
    {
        byte[] content = Content(Cluster);
        byte[] data = Deflate(content);
        Assert.Equal(content, Expand(CompressionType.Zlib, data));
        Assert.Equal(content, Expand(CompressionType.Zlib, [.. data, .. Content(400)]));
    }

    [Fact]
    public void Deflate_that_goes_on_after_the_cluster_stops_there() =>
        Assert.Equal(Content(Cluster), Expand(CompressionType.Zlib, Deflate([.. Content(Cluster), .. new byte[64 << 20]])));

    [Fact]
    public void Deflate_of_less_than_a_cluster_is_refused() => AssertRefused(CompressionType.Zlib, Deflate(Content(Cluster - 1)));

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(1000)]
    public void Deflate_that_is_cut_is_refused(int kept) => AssertRefused(CompressionType.Zlib, Deflate(Content(Cluster))[..kept]);

    /// <summary>What one of the two takes the other expands to the same, so that it does not matter which of them a machine has.</summary>
    [Fact]
    public void Libdeflate_takes_nothing_that_a_stream_would_refuse()
    {
        byte[] content = Content(Cluster), whole = Deflate(content);
        var random = new Random(13);
        int taken = 0;
        for (int i = 0; i < 2000; i++)
        {
            byte[] source = [.. whole, .. Content(i % 500)];
            for (int n = 0; n < i % 4; n++) source[random.Next(source.Length)] ^= (byte)(1 << random.Next(8));
            byte[] fast = new byte[Cluster], slow = new byte[Cluster];
            if (!Libdeflate.TryExpand(source, fast)) continue;
            taken++;
            Assert.True(ClusterCompression.TryExpandStream(source, slow));
            Assert.Equal(slow, fast);
        }
        Assert.Equal(Libdeflate.IsAvailable, taken >= 500);
        Assert.True(ClusterCompression.TryExpandStream(whole, new byte[Cluster]));
        Assert.True(ClusterCompression.TryExpandStream(Deflate([.. content, .. content]), new byte[Cluster]));
        Assert.False(Libdeflate.TryExpand(Deflate([.. content, .. content]), new byte[Cluster]));
        Assert.False(ClusterCompression.TryExpandStream(whole.AsSpan(0, 1000), new byte[Cluster]));
    }

    [Fact]
    public void Noise_is_refused()
    {
        byte[] noise = new byte[4096];
        new Random(3).NextBytes(noise);
        AssertRefused(CompressionType.Zlib, noise);
        AssertRefused(CompressionType.Zstd, noise);
    }

    [ToolFact("zstd")]
    public void Zstd_of_one_cluster_whatever_follows_it()
    {
        byte[] content = Content(Cluster);
        byte[] data = Zstd(content);
        Assert.Equal(content, Expand(CompressionType.Zstd, data));
        Assert.Equal(content, Expand(CompressionType.Zstd, [.. data, .. Content(400)]));
    }

    [ToolFact("zstd")]
    public void Zstd_of_several_frames() =>
        Assert.Equal(Content(Cluster), Expand(CompressionType.Zstd, [.. Zstd(Content(Cluster)[..10_000]), .. Zstd(Content(Cluster)[10_000..])]));

    [ToolFact("zstd")]
    public void Zstd_of_less_or_more_than_a_cluster_is_refused()
    {
        AssertRefused(CompressionType.Zstd, Zstd(Content(Cluster - 1)));
        AssertRefused(CompressionType.Zstd, Zstd(Content(Cluster + 1)));
        AssertRefused(CompressionType.Zstd, Zstd(Content(Cluster))[..1000]);
    }

    /// <summary>A frame of one run of 65,536 equal bytes that asks for a window of 2^(10 + exponent) bytes: 2 MiB may be
    /// had, 128 MiB (which libzstd alone would allocate) not.</summary>
    [Fact]
    public void Zstd_with_an_oversized_window_is_refused()
    {
        static byte[] Frame(int exponent) => [0x28, 0xB5, 0x2F, 0xFD, 0, (byte)(exponent << 3), 0x03, 0x00, 0x08, 42];
        Assert.All(Expand(CompressionType.Zstd, Frame(11)), b => Assert.Equal(42, b));
        AssertRefused(CompressionType.Zstd, Frame(17));
    }

    [Theory]
    [InlineData(9, 0x4000_0000_0000_0205UL, 0x205, 512 - 5)]
    [InlineData(9, 0x6000_0000_0000_0205UL, 0x205, 1024 - 5)]
    [InlineData(16, 0x4000_0000_0005_0000UL, 0x50000, 512)]
    [InlineData(16, 0x7FC0_0000_0005_0001UL, 0x50001, 131072 - 1)]
    [InlineData(21, 0x7FFE_0000_0020_0000UL, 0x200000, 4 << 20)]
    public void Range_of_an_entry(int clusterBits, ulong entry, long offset, int count) =>
        Assert.Equal(new CompressedRange(offset, count), CompressedRange.FromEntry(entry, clusterBits));

    [Fact]
    public void Cache_keeps_the_last_clusters_and_forgets_the_oldest()
    {
        var cache = new ExpandedClusterCache(2);
        byte[] part = new byte[2];
        cache.Add(1, [1, 2, 3, 4]);
        cache.Add(2, [5, 6, 7, 8]);
        Assert.True(cache.TryRead(1, 2, part));
        Assert.Equal([3, 4], part);
        Assert.Equal([5, 6, 7, 8], cache.TakeSpare(4));
        cache.Add(3, [9, 9, 9, 9]);
        Assert.False(cache.TryRead(2, 0, part));
        Assert.True(cache.TryRead(1, 0, part) && cache.TryRead(3, 0, part));
        cache.Clear();
        Assert.False(cache.TryRead(1, 0, part));
    }
}
