using SnapshotTools.Testing.Files;

namespace SnapshotTools.Qcow2.Tests.Copying;

/// <summary>A random chain of three images in memory: /base under /layer under /child, of different sizes and cluster sizes.</summary>
internal sealed class MemoryChain
{
    public const string Base = "/s/base", Layer = "/s/layer", Child = "/s/child";

    private static readonly int[] ClusterSizes = [512, 1024, 4096, 16384, 65536];

    public MemoryChain(int seed, bool hasBase = true, int operations = 12)
    {
        Random random = new(seed);
        Files.CreateDirectory("/s");
        long size = random.NextInt64(1, 600) * 512;
        if (hasBase) Make(Base, null, random, Around(size, random), operations);
        Make(Layer, hasBase ? Base : null, random, Around(size, random), operations);
        Make(Child, Layer, random, Around(size, random), operations);
        HasBase = hasBase;
        Content = Read(Files);
    }

    public MemoryFileSystem Files { get; } = new();

    public bool HasBase { get; }

    /// <summary>What the child reads as.</summary>
    public byte[] Content { get; }

    public static ImageOpenOptions Options(bool write = false, bool chain = true) => new()
    {
        Write = write,
        Backing = chain ? BackingPolicy.Allowed : BackingPolicy.None,
        AllowedBacking = ["/s"],
    };

    /// <summary>Reads an image through its chain.</summary>
    public static byte[] Read(MemoryFileSystem files, string path = Child)
    {
        using Qcow2Image image = Qcow2Image.Open(files, path, Options());
        byte[] content = new byte[image.VirtualSize];
        image.Read(0, content);
        return content;
    }

    private static long Around(long size, Random random) => random.Next(3) switch
    {
        0 => size,
        1 => random.NextInt64(1, (size / 512) + 1) * 512,
        _ => size + (random.Next(300) * 512L),
    };

    private void Make(string path, string? below, Random random, long size, int operations)
    {
        int clusterSize = ClusterSizes[random.Next(ClusterSizes.Length)];
        int version = random.Next(4) == 0 ? 2 : 3;
        using Qcow2Image image = Qcow2Image.Create(Files, path, new ImageCreateOptions
        {
            VirtualSize = size,
            ClusterSize = clusterSize,
            Version = version,
            ExtendedL2 = version == 3 && clusterSize >= 16384 && random.Next(2) == 0,
            BackingFile = below is null ? null : Path.GetFileName(below),
            BackingFormat = below is null ? null : ImageFormat.Qcow2,
            Open = Options(write: true),
        });
        for (int i = random.Next(operations); i > 0; i--)
        {
            long offset = random.NextInt64(size / 512) * 512;
            long count = Math.Min(size - offset, random.Next(1, random.Next(2) == 0 ? 8 : 200) * 512);
            switch (random.Next(6))
            {
                case 0: image.WriteZeroes(offset, count); break;
                case 1: image.Discard(offset, count); break;
                default:
                    byte[] data = new byte[count];
                    random.NextBytes(data);
                    image.Write(offset, data);
                    break;
            }
        }
    }
}
