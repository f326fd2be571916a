using System.Globalization;
using SnapshotTools.Benchmarks.Harness;

namespace SnapshotTools.Benchmarks.Rows;

/// <summary>Random reads of 4 KiB through chains of layers.</summary>
internal static class ReadRows
{
    private const int Block = 4096;

    private static readonly int[] Depths = [1, 8, 32, 128];

    public static IEnumerable<Row> All => Depths.Select(layers => new Row(
        $"read/{layers}", $"random 4 KiB reads through {(layers == 1 ? "1 layer" : $"{layers} layers")}", run => Read(run, layers))
    { IsQuick = layers is 1 or 128 });

    private static void Read(RowRun run, int layers)
    {
        RowRun.Require("qemu-io", "qemu-img");
        long size = run.Scale.Pick(1024L, 256, 16) << 20;
        int count = run.Scale.Pick(50_000, 20_000, 200);
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
        if (layers > 1) contenders.Add(Contender.Timed("our reader, 1 layer", Role.Reference, () => ReadAll(one, offsets)));
        run.Measure(run.Scale.Pick(5, 3, 1), 1, contenders);
        run.GoalFaster(1, "the better of the two");
        if (layers < 128) return;
        double part = run.Best(Role.Reference) / run.Best(Role.Ours);
        run.Goal("≥ 0.8 of the reads per second of 1 layer", part.ToString("0.00", CultureInfo.InvariantCulture), part >= 0.8);
    }

    /// <summary>The lowest layer holds all; each above it some clusters anew, so that about as much comes from each.</summary>
    private static string Chain(string folder, int layers, long size)
    {
        Directory.CreateDirectory(folder);
        string top = Images.Create(Path.Combine(folder, "layer0.qcow2"), size, i => Images.WriteNoise(i, 0, size));
        for (int n = 1; n < layers; n++)
        {
            int seed = n;
            top = Images.Create(Path.Combine(folder, $"layer{n}.qcow2"), size, i => Images.Scatter(i, (int)Math.Max(1, (size >> 16) / layers), seed, 1 << 16), top);
        }
        return top;
    }

    private static void ReadAll(string path, long[] offsets)
    {
        using var image = Images.Open(path);
        byte[] buffer = new byte[Block];
        foreach (long offset in offsets) image.Read(offset, buffer);
    }
}
