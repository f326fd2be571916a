using System.Globalization;
using SnapshotTools.Benchmarks.Harness;
using SnapshotTools.IO;
using SnapshotTools.Qcow2;

namespace SnapshotTools.Benchmarks.Rows;

/// <summary>Looking at images: where data is, and whether the tables are sound.</summary>
internal static class InspectRows
{
    public static IEnumerable<Row> All =>
    [
        new("inspect/map", "map of a 1 TiB image with 100,000 scattered clusters", run =>
        {
            RowRun.Require("qemu-img");
            string path = Images.Create(run.File("disk.qcow2"), 1L << 40, i => Images.Scatter(i, run.Scale.Pick(100_000, 4_000, 1000), seed: 7));
            run.Measure(run.Scale.Pick(11, 2, 1), run.Scale.Pick(2, 0, 0),
                Contender.Timed("map, as JSON", Role.Ours, () => Map(path)),
                Contender.Timed("qemu-img map --output=json", Role.Peer, () => Peer.Run("qemu-img", "map", "-f", "qcow2", "--output=json", path)),
                Contender.Timed("pread of the tables", Role.Limit, () => ImageTables.Read(path, refcounts: false)));
            run.GoalFaster(3, "`qemu-img map`");
        }),
        new("inspect/check", "check of an image with 8 GiB allocated", run =>
        {
            RowRun.Require("qemu-img");
            string path = run.File("disk.qcow2");
            Peer.Run("qemu-img", "create", "-q", "-f", "qcow2", "-o", "preallocation=metadata", path, run.Scale.Pick("8G", "8G", "128M"));
            Check(run, path);
        }),
        new("inspect/check-scattered", "check of a 1 TiB image with 100,000 scattered clusters", run =>
        {
            RowRun.Require("qemu-img");
            Check(run, Images.Create(run.File("disk.qcow2"), 1L << 40, i => Images.Scatter(i, run.Scale.Pick(100_000, 100_000, 1000), seed: 7)));
        }) { IsQuick = false },
    ];

    private static void Check(RowRun run, string path)
    {
        run.Measure(run.Scale.Pick(11, 5, 1), 2,
            Contender.Timed("check", Role.Ours, () =>
            {
                if (ImageCheck.Run(SystemFiles.Instance, path) is not { IsClean: true, IsComplete: true }) throw new InvalidOperationException("The image is not sound.");
            }),
            Contender.Timed("qemu-img check", Role.Peer, () => Peer.Run("qemu-img", "check", "-q", "-f", "qcow2", path)),
            Contender.Timed("pread of the tables", Role.Limit, () => ImageTables.Read(path, refcounts: true)));
        run.GoalFaster(3, "`qemu-img check`");
    }

    // The same work as the peer's: every extent, written out.
    private static void Map(string path)
    {
        using var image = Images.Open(path);
        using var text = new StreamWriter(Stream.Null, bufferSize: 64 << 10);
        Span<char> line = stackalloc char[256];
        foreach (var extent in image.Map(0, image.VirtualSize))
        {
            line.TryWrite(CultureInfo.InvariantCulture,
                $"{{ \"start\": {extent.Offset}, \"length\": {extent.Count}, \"depth\": {extent.Layer}, \"kind\": \"{extent.Kind}\", \"offset\": {extent.HostOffset}}},\n", out int count);
            text.Write(line[..count]);
        }
    }
}
