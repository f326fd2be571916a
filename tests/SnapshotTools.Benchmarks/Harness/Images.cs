using System.Buffers.Binary;
using SnapshotTools.IO;
using SnapshotTools.Qcow2;

namespace SnapshotTools.Benchmarks.Harness;

/// <summary>Images with content for measuring, made by our own writer.</summary>
internal static class Images
{
    private const int Chunk = 4 << 20;
    private static readonly byte[] Noise = NewNoise();

    /// <summary>Opens an image with all that it names below it.</summary>
    public static Qcow2Image Open(string path, bool write = false) => Qcow2Image.Open(SystemFiles.Instance, path, new ImageOpenOptions
    {
        Write = write,
        FollowLinks = true,
        Lock = false,
        Backing = BackingPolicy.Allowed,
        ResolveBacking = (layer, backing, format) => new BackingTarget(Path.GetFullPath(Path.Combine(Path.GetDirectoryName(layer)!, backing)), format!.Value),
    });

    /// <summary>Makes a new image and lets it be filled.</summary>
    public static string Create(string path, long size, Action<Qcow2Image>? fill = null, string? backing = null)
    {
        using var image = Qcow2Image.Create(SystemFiles.Instance, path, new ImageCreateOptions
        {
            VirtualSize = size,
            BackingFile = backing,
            BackingFormat = backing is null ? null : ImageFormat.Qcow2,
            // QEMU writes names of backing files that only it can open.
            Open = new ImageOpenOptions { Lock = false, Backing = fill is null ? BackingPolicy.None : BackingPolicy.Allowed, AllowedBacking = [Path.GetDirectoryName(path)!] },
        });
        fill?.Invoke(image);
        image.Flush();
        return path;
    }

    /// <summary>Writes so many bytes, in stretches spread evenly over the disk; no block of it is zero or like another.</summary>
    public static void Spread(Qcow2Image image, long bytes, long stretch = Chunk)
    {
        long count = Math.Max(1, bytes / stretch), step = Math.Max(stretch, image.VirtualSize / count / 65536 * 65536);
        for (long i = 0; i < count; i++) WriteNoise(image, i * step, stretch);
    }

    /// <summary>Writes a range.</summary>
    public static void WriteNoise(Qcow2Image image, long offset, long count)
    {
        byte[] data = new byte[Math.Min(count, Chunk)];
        for (long done = 0; done < count; done += data.Length)
        {
            Noise.AsSpan(0, data.Length).CopyTo(data);
            for (int at = 0; at < data.Length; at += 512) BinaryPrimitives.WriteInt64LittleEndian(data.AsSpan(at), offset + done + at + 1);
            image.Write(offset + done, data.AsSpan(0, (int)Math.Min(data.Length, count - done)));
        }
    }

    /// <summary>Writes a block into clusters at random places.</summary>
    public static void Scatter(Qcow2Image image, int clusters, int seed, int blockBytes = 4096)
    {
        var random = new Random(seed);
        long all = image.VirtualSize >> 16;
        for (int i = 0; i < clusters; i++) image.Write(random.NextInt64(all) << 16, Noise.AsSpan(0, blockBytes));
    }

    private static byte[] NewNoise()
    {
        byte[] noise = new byte[Chunk];
        new Random(1).NextBytes(noise);
        return noise;
    }
}
