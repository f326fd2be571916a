using System.Collections.Concurrent;
using SnapshotTools.Testing;

namespace SnapshotTools.Qcow2.Tests.Hostile;

/// <summary>Small sound images with known places, made once by qemu-img, of which tests damage copies.</summary>
public static class SampleImages
{
    /// <summary>A guest offset with plain data (16 clusters).</summary>
    public const long Data = 0;

    /// <summary>A guest offset with compressed data (4 clusters), where the sample has some.</summary>
    public const long Compressed = 2 << 20;

    /// <summary>A guest offset that reads as zeroes by its own entry.</summary>
    public const long Zero = 3 << 20;

    /// <summary>A guest offset under another L2 table than <see cref="Data"/>.</summary>
    public const long OtherTable = 5 << 20;

    public const long VirtualSize = 8 << 20;

    private static readonly ConcurrentDictionary<string, byte[]> Made = new();

    /// <summary>Names of all samples.</summary>
    public static IReadOnlyList<string> Names { get; } = ["plain", "v2", "snapshots", "bitmaps", "zstd", "extended", "refcount1", "refcount64", "tiny clusters"];

    /// <summary>A copy of a sample.</summary>
    public static ImageBytes Get(string name) => new([.. Made.GetOrAdd(name, Make)]);

    private static byte[] Make(string name)
    {
        using var folder = new TempFolder();
        string path = folder.File("a.qcow2");
        (string options, int cluster) = name switch
        {
            "v2" => ("compat=0.10,cluster_size=4096", 4096),
            "zstd" => ("cluster_size=4096,compression_type=zstd", 4096),
            "extended" => ("cluster_size=16384,extended_l2=on", 16384),
            "refcount1" => ("cluster_size=4096,refcount_bits=1", 4096),
            "refcount64" => ("cluster_size=4096,refcount_bits=64", 4096),
            "tiny clusters" => ("cluster_size=512,refcount_bits=32", 512),
            _ => ("cluster_size=4096", 4096),
        };
        Tool.Run("qemu-img", ["create", "-q", "-f", "qcow2", "-o", options, path, $"{VirtualSize}"]);
        List<string> writes = [$"write -P 17 {Data} {16 * cluster}", $"write -P 33 {OtherTable} {8 * cluster}", $"write -z {Zero} {4 * cluster}"];
        if (name is not "refcount1") writes.AddRange(Enumerable.Range(0, 4).Select(i => $"write -c -P {i + 1} {Compressed + (i * cluster)} {cluster}"));
        if (name is "bitmaps")
        {
            Tool.Run("qemu-img", ["bitmap", "--add", "-g", "512", path, "one"]);
            Tool.Run("qemu-img", ["bitmap", "--add", path, "two"]);
        }
        if (name is "snapshots")
        {
            Io(path, [$"write -P 1 {Data} {2 * cluster}"]);
            Tool.Run("qemu-img", ["snapshot", "-c", "first", path]);
        }
        Io(path, writes);
        if (name is "snapshots") Tool.Run("qemu-img", ["snapshot", "-c", "second", path]);
        if (name is "snapshots") Io(path, [$"write -P 99 {Data} {cluster}"]);
        return File.ReadAllBytes(path);
    }

    private static void Io(string path, IEnumerable<string> commands) =>
        Tool.Run("qemu-io", ["-f", "qcow2", .. commands.SelectMany(c => new[] { "-c", c }), path]);
}
