using System.Globalization;
using SnapshotTools.Benchmarks.Harness;
using SnapshotTools.Qcow2;

namespace SnapshotTools.Benchmarks.Rows;

/// <summary>Random reads of 4 KiB through chains of layers.</summary>
internal static class ReadRows
{
    private const int Block = 4096;

    private static readonly int[] Depths = [1, 8, 32, 128];

    public static IEnumerable<Row> All => Depths.Select(layers => new Row(
        $"read/{layers}", $"random 4 KiB reads through {(layers == 1 ? "1 layer" : $"{layers} layers")}", run => Read(run, layers))
    { IsQuick = layers is 1 or 8 });

    private static void Read(RowRun run, int layers)
    {
        RowRun.Require("qemu-io", "qemu-img");
        long size = run.Scale.Pick(1024L, 256, 16) << 20;
        int count = run.Scale.Pick(50_000, 4_000, 200);
        string one = Chain(run.File("one"), 1, size), top = layers == 1 ? one : Chain(run.File("chain"), layers, size);
        var random = new Random(3);
        long[] offsets = [.. Enumerable.Range(0, count).Select(_ => random.NextInt64(size / Block) * Block)];
        string script = run.File("script");
        File.WriteAllLines(script, offsets.Select(o => string.Create(CultureInfo.InvariantCulture, $"read -q {o} {Block}")));
        List<Contender> contenders =
        [
            Contender.Timed($"our reader, one thread, {count:N0} reads", Role.Ours, () => ReadAll(top, offsets)),
            Contender.Timed("qemu-io, the same reads", Role.Peer, () => Peer.RunWith(script, "qemu-io", "-r", "-f", "qcow2", top)),
            Contender.Timed("qemu-img bench -d 1, as many in strides", Role.Peer, () => Peer.Run("qemu-img", "bench", "-f", "qcow2", "-c", count.ToString(CultureInfo.InvariantCulture), "-d", "1", "-s", "4096", "-S", "1118208", top)),
        ];
        contenders.Add(Contender.Timed("the same blocks by pread, each from the file that holds it", Role.Limit, Bare(top, layers, offsets)));
        if (layers > 1) contenders.Add(Contender.Timed("our reader, 1 layer", Role.Reference, () => ReadAll(one, offsets)));
        run.Measure(run.Scale.Pick(5, 2, 1), run.Scale.Pick(1, 0, 1), contenders);
        run.GoalFaster(1, "the better of the two");
        if (layers < 128) return;
        double part = run.Best(Role.Reference) / run.Best(Role.Ours);
        run.Goal("≥ 0.8 of the reads per second of 1 layer", part.ToString("0.00", CultureInfo.InvariantCulture), part >= 0.8);
    }

    /// <summary>The lowest layer holds all; each above it some clusters anew, so that about as much comes from each.</summary>
    private static string Chain(string folder, int layers, long size)
    {
        Directory.CreateDirectory(folder);
        string top = Images.Create(FileOf(folder, 0), size, i => Images.WriteNoise(i, 0, size));
        for (int n = 1; n < layers; n++)
        {
            int seed = n;
            top = Images.Create(FileOf(folder, n), size, i => Images.Scatter(i, (int)Math.Max(1, (size >> 16) / layers), seed, 1 << 16), top);
        }
        return top;
    }

    /// <summary>What is left when nothing must be looked up: the kernel's part, which is more where the data lies in many files.</summary>
    private static Action Bare(string top, int layers, long[] offsets)
    {
        string[] files = [.. Enumerable.Range(0, layers).Select(n => FileOf(Path.GetDirectoryName(top)!, layers - 1 - n))];
        (int File, long Offset)[] places;
        using (var image = Images.Open(top))
        {
            MapExtent[] extents = [.. image.Map(0, image.VirtualSize)];
            long[] starts = [.. extents.Select(e => e.Offset)];
            places = [.. offsets.Select(o =>
            {
                int at = Array.BinarySearch(starts, o);
                var extent = extents[at < 0 ? ~at - 1 : at];
                return (extent.Layer, extent.HostOffset + o - extent.Offset);
            })];
        }
        return () =>
        {
            byte[] buffer = new byte[Block];
            var handles = files.Select(f => File.OpenHandle(f)).ToArray();
            foreach (var (file, offset) in places) RandomAccess.Read(handles[file], buffer, offset);
            foreach (var handle in handles) handle.Dispose();
        };
    }

    private static string FileOf(string folder, int layer) => Path.Combine(folder, $"layer{layer}.qcow2");

    private static void ReadAll(string path, long[] offsets)
    {
        using var image = Images.Open(path);
        byte[] buffer = new byte[Block];
        foreach (long offset in offsets) image.Read(offset, buffer);
    }
}
