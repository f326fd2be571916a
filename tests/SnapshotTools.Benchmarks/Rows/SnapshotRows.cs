using SnapshotTools.Benchmarks.Harness;

namespace SnapshotTools.Benchmarks.Rows;

/// <summary>Snapshot and restore of a stopped VM with 1, 4 and 16 disks, in a session.</summary>
internal static class SnapshotRows
{
    private const long DiskBytes = 20L << 30;

    private static readonly int[] DiskCounts = [1, 4, 16];

    public static IEnumerable<Row> All => DiskCounts.SelectMany(disks => new[] { Snapshot(disks), Restore(disks) });

    private static Row Snapshot(int disks) => new($"snapshot/{disks}", $"snapshot of a stopped VM, {Disks(disks)}", run =>
    {
        RowRun.Require("qemu-img");
        WarmUp(run, disks, store => store.Snapshot("vm"));
        using var store = NewStore(run, "store", disks);
        var overlays = new PeerDisks(run.NewFolder("overlays"), disks, DiskBytes);
        var within = new PeerDisks(run.NewFolder("within"), disks, DiskBytes);
        using var limit = new FsyncLimit(run.NewFolder("limit"), disks, flushesLayers: true);
        run.Measure(run.Scale.Pick(31, 11, 1), 8,
            Contender.Timed("snapshot, durable", Role.Ours, () => store.Snapshot("vm")),
            Contender.Timed("qemu-img create -b, all disks at once", Role.Peer, overlays.CreateOverlays, after: overlays.DeleteOverlays),
            Contender.Timed("qemu-img snapshot -c, all disks at once", Role.Peer, within.TakeInternal),
            Contender.Timed("the fsyncs for it, at once", Role.Limit, limit.Run),
            Contender.Timed("the same by one syncfs", Role.Aside, limit.RunTogether));
        run.GoalFaster(disks switch { 1 => 4, 4 => 6, _ => 12 }, "the better of the two");
        run.GoalOfLimit(2, "the fsyncs");
        run.Note("`qemu-img create` does not wait for the disk; ours and `snapshot -c` do");
    });

    private static Row Restore(int disks) => new($"restore/{disks}", $"restore of a stopped VM, {Disks(disks)}", run =>
    {
        RowRun.Require("qemu-img");
        WarmUp(run, disks, store => store.Restore("vm", "point"));
        using var store = NewStore(run, "store", disks);
        var overlays = new PeerDisks(run.NewFolder("overlays"), disks, DiskBytes);
        var within = new PeerDisks(run.NewFolder("within"), disks, DiskBytes);
        using var limit = new FsyncLimit(run.NewFolder("limit"), disks, flushesLayers: false);
        overlays.CreateOverlays();
        within.TakeInternal("point");
        run.Measure(run.Scale.Pick(31, 11, 1), 8,
            Contender.Timed("restore, durable", Role.Ours, () => store.Restore("vm", "point")),
            Contender.Timed("rm; qemu-img create -b, all disks at once", Role.Peer, () => { overlays.DeleteOverlays(); overlays.CreateOverlays(); }),
            Contender.Timed("qemu-img snapshot -a, all disks at once", Role.Peer, () => within.ApplyInternal("point")),
            Contender.Timed("the fsyncs for it, at once", Role.Limit, limit.Run),
            Contender.Timed("the same by one syncfs", Role.Aside, limit.RunTogether));
        run.GoalFaster(4, "the better of the two");
    })
    {
        IsQuick = disks < 16,
    };

    /// <summary>In a store of its own: what is deleted in a folder makes the next files in it dearer.</summary>
    private static void WarmUp(RowRun run, int disks, Action<BenchStore> work)
    {
        using var store = NewStore(run, "warm", disks);
        run.WarmUp(100, () => work(store));
    }

    private static BenchStore NewStore(RowRun run, string name, int disks)
    {
        var store = new BenchStore(run.NewFolder(name));
        store.NewVm("vm", disks, DiskBytes);
        store.Snapshot("vm", "point");
        return store;
    }

    private static string Disks(int disks) => disks == 1 ? "1 disk" : $"{disks} disks";
}
