using SnapshotTools.Qcow2.Tests.Hostile;
using SnapshotTools.Testing;
using SnapshotTools.Testing.Files;
using Xunit;

namespace SnapshotTools.Qcow2.Tests;

public sealed class ChainTests
{
    private static readonly ImageOpenOptions Trusted = new() { Write = true, Backing = BackingPolicy.Allowed, AllowedBacking = ["/d"] };

    private static ImageCreateOptions Layer(int number, long size, int clusterSize = 4096) => new()
    {
        VirtualSize = size,
        ClusterSize = clusterSize,
        BackingFile = number == 0 ? null : $"{number - 1}",
        BackingFormat = number == 0 ? null : ImageFormat.Qcow2,
    };

    [Fact]
    public void A_chain_of_1500_layers_is_read_mapped_and_written_through()
    {
        const int Length = 1500, Size = 1 << 20;
        var files = new MemoryFileSystem();
        files.CreateDirectory("/d");
        var random = new Random(11);
        byte[] expected = new byte[Size];
        for (int i = 0; i < Length; i++)
        {
            using var image = Qcow2Image.Create(files, $"/d/{i}", Layer(i, Size));
            int at = random.Next(Size / 4096) * 4096;
            random.NextBytes(expected.AsSpan(at, 4096));
            image.Write(at, expected.AsSpan(at, 4096));
        }
        using Qcow2Image top = Qcow2Image.Open(files, $"/d/{Length - 1}", Trusted);
        byte[] actual = new byte[Size];
        top.Read(0, actual);
        Assert.Equal(expected, actual);
        Assert.True(top.Map(0, Size).Max(e => e.Layer) > 1000);

        // Filling up a cluster takes the rest of it from far below.
        top.Write(1000, [1, 2, 3]);
        new byte[] { 1, 2, 3 }.CopyTo(expected, 1000);
        top.Read(0, actual);
        Assert.Equal(expected, actual);
        int depth = 1;
        for (IDiskImage? below = top.Backing; below is not null; below = (below as Qcow2Image)?.Backing) depth++;
        Assert.Equal(Length, depth);
    }

    /// <summary>Only a stranger makes an image whose neighbouring clusters are one and the same compressed data.</summary>
    [ToolFact("qemu-img", "qemu-io")]
    public void Twins_of_one_compressed_cluster_are_read_through_a_chain()
    {
        ImageBytes twins = SampleImages.Get("plain");
        long first = SampleImages.Compressed, second = first + twins.ClusterSize;
        twins.SetU64(twins.L2Place(second), twins.U64(twins.L2Place(first)));
        var files = new MemoryFileSystem();
        files.CreateDirectory("/d");
        using (var file = files.Create("/d/0")) file.Write(0, twins.Bytes);
        using Qcow2Image top = Qcow2Image.Create(files, "/d/1", Layer(1, SampleImages.VirtualSize) with { Open = Trusted });

        byte[] content = new byte[(2 * twins.ClusterSize) + 100];
        top.Read(first - 50, content);

        Assert.All(content[50..^50], b => Assert.Equal(1, b));
        var extents = top.Map(first, 2 * twins.ClusterSize).ToList();
        Assert.Equal([twins.ClusterSize, twins.ClusterSize], extents.Select(e => (int)e.Count));
        Assert.All(extents, e => Assert.Equal((ExtentKind.Compressed, 1, true), (e.Kind, e.Layer, e.HostOffset > 0)));
    }

    [Fact]
    public void A_layer_in_the_middle_can_be_read_by_itself_and_is_closed_with_the_top()
    {
        var files = new MemoryFileSystem();
        files.CreateDirectory("/d");
        for (int i = 0; i < 3; i++)
        {
            using var image = Qcow2Image.Create(files, $"/d/{i}", Layer(i, 8192) with { Open = Trusted });
            image.Write(0, [(byte)(i + 1)]);
            if (i == 0) image.Write(4096, [9]);
        }
        using Qcow2Image top = Qcow2Image.Open(files, "/d/2", Trusted);
        var middle = (Qcow2Image)top.Backing!;
        byte[] read = new byte[4097];
        middle.Read(0, read);
        Assert.Equal((2, 9), (read[0], read[^1]));
        Assert.False(middle.CanWrite);
        Assert.Equal(Qcow2ErrorCode.ReadOnly, Assert.Throws<Qcow2Exception>(() => middle.Write(0, [1])).Code);
        middle.Dispose();
        top.Read(0, read);
        Assert.Equal((3, 9), (read[0], read[^1]));
    }

    [Fact]
    public void What_a_shorter_layer_hides_stays_hidden_at_every_byte()
    {
        // The middle ends within a cluster of the base and of the top.
        var files = new MemoryFileSystem();
        files.CreateDirectory("/d");
        long[] sizes = [65536, 10 * 512, 65536];
        byte[] ones = new byte[65536];
        ones.AsSpan().Fill(1);
        for (int i = 0; i < 3; i++)
        {
            using var image = Qcow2Image.Create(files, $"/d/{i}", Layer(i, sizes[i], i == 1 ? 512 : 16384));
            if (i == 0) image.Write(0, ones);
        }
        using Qcow2Image top = Qcow2Image.Open(files, "/d/2", Trusted);
        byte[] actual = new byte[65536];
        top.Read(0, actual);
        Assert.Equal(10 * 512, actual.AsSpan().IndexOf((byte)0));
        Assert.False(actual.AsSpan(10 * 512).ContainsAnyExcept((byte)0));
        top.Write((10 * 512) + 7, [5]);
        top.Read(0, actual);
        Assert.Equal((1, 0, 5, 0), (actual[(10 * 512) - 1], actual[10 * 512], actual[(10 * 512) + 7], actual[(10 * 512) + 8]));
    }

    [Fact]
    public async Task Many_readers_and_one_writer()
    {
        var files = new MemoryFileSystem();
        files.CreateDirectory("/d");
        const int Size = 4 << 20;
        byte[] block = new byte[8192];
        using (var image = Qcow2Image.Create(files, "/d/0", Layer(0, Size)))
        {
            block.AsSpan().Fill(1);
            for (int at = 0; at < Size; at += block.Length) image.Write(at, block);
        }
        Qcow2Image.Create(files, "/d/1", Layer(1, Size)).Dispose();
        using Qcow2Image top = Qcow2Image.Open(files, "/d/1", Trusted with { CacheBytes = 64 << 10 });
        using var done = new CancellationTokenSource();
        // Every block holds one value throughout, whenever it is read.
        Task[] readers = [.. Enumerable.Range(0, 3).Select(seed => Task.Run(() =>
        {
            var random = new Random(seed);
            byte[] read = new byte[8192];
            while (!done.IsCancellationRequested)
            {
                top.Read(random.Next(Size / 8192) * 8192, read);
                Assert.False(read.AsSpan().ContainsAnyExcept(read[0]));
            }
        }))];
        var writes = new Random(99);
        for (int i = 0; i < 600; i++)
        {
            int at = writes.Next(Size / 8192) * 8192;
            block.AsSpan().Fill((byte)writes.Next(256));
            if (i % 5 == 0) top.Discard(at, 8192);
            else top.Write(at, block);
            if (i % 50 == 0) top.Flush();
        }
        await done.CancelAsync();
        await Task.WhenAll(readers);
    }
}
