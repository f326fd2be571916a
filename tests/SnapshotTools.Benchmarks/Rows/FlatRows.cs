using SnapshotTools.Benchmarks.Harness;

namespace SnapshotTools.Benchmarks.Rows;

/// <summary>Snapshot and restore do not grow: with what is allocated, with the disk's size, with earlier snapshots, with the store.</summary>
internal static class FlatRows
{
    private sealed record Case(string Id, string Words, long Size, Action<Qcow2.Qcow2Image>? Fill = null, int Snapshots = 0, int StoreSnapshots = 0, bool IsQuick = true);

    private const long GiB = 1L << 30;

    private static readonly Case[] Cases =
    [
        new("0.5GiB", "0.5 GiB allocated", 20 * GiB, i => Images.Spread(i, GiB / 2), IsQuick: false),
        new("2GiB", "2 GiB allocated", 20 * GiB, i => Images.Spread(i, 2 * GiB), IsQuick: false),
        new("8GiB", "8 GiB allocated", 20 * GiB, i => Images.Spread(i, 8 * GiB), IsQuick: false),
        new("2048-tables", "1 TiB virtual with 2,048 L2 tables", 1024 * GiB, i => Images.Spread(i, 2048L << 16, 1 << 16)),
        new("1000-snapshots", "after 1,000 snapshots", 20 * GiB, Snapshots: 1000, IsQuick: false),
        new("store-20000", "in a store of 20,000 snapshots", 20 * GiB, StoreSnapshots: 20_000),
    ];

    public static IEnumerable<Row> All => Cases.SelectMany(c => new[] { Snapshot(c), Restore(c) });

    private static Row Snapshot(Case c) => new($"snapshot/{c.Id}", $"snapshot, {c.Words}", run => Compare(run, c, restore: false)) { IsQuick = c.IsQuick };

    private static Row Restore(Case c) => new($"restore/{c.Id}", $"restore, {c.Words}", run => Compare(run, c, restore: true)) { IsQuick = c.IsQuick && c.Id == "store-20000" };

    private static void Compare(RowRun run, Case c, bool restore)
    {
        RowRun.Require("qemu-img");
        if (run.Scale == Scale.Smoke) c = c with { Size = Math.Min(c.Size, 4 * GiB), Fill = null, Snapshots = Math.Min(c.Snapshots, 3), StoreSnapshots = Math.Min(c.StoreSnapshots, 200) };
        using var plain = new BenchStore(run.NewFolder("plain"));
        using var store = new BenchStore(run.NewFolder("store"));
        if (c.StoreSnapshots > 0) store.AddOthers(c.StoreSnapshots / 100, 100);
        plain.NewVm("vm", 1, 20 * GiB);
        store.NewVm("vm", 1, c.Size);
        if (c.Fill is not null) store.Write("vm-0", c.Fill);
        PeerDisks? peer = c.StoreSnapshots > 0 || c.Id is "0.5GiB" or "8GiB" ? null : new PeerDisks(run.NewFolder("peer"), 1, c.Size, c.Fill);
        for (int i = 0; i < c.Snapshots; i++)
        {
            store.Snapshot("vm");
            peer?.TakeInternal();
        }
        if (restore)
        {
            plain.Snapshot("vm", "point");
            store.Snapshot("vm", "point");
            peer?.TakeInternal("point");
        }
        using var limit = new FsyncLimit(run.NewFolder("limit"), 1, flushesLayers: !restore);
        List<Contender> contenders =
        [
            Contender.Timed(restore ? "restore" : "snapshot", Role.Ours, () => Work(store)),
            Contender.Timed("the same on a small new disk", Role.Reference, () => Work(plain)),
            Contender.Timed("the fsyncs for it, at once", Role.Limit, limit.Run),
        ];
        if (peer is not null && restore) contenders.Add(Contender.Timed("qemu-img snapshot -a", Role.Peer, () => peer.ApplyInternal("point")));
        else if (peer is not null) contenders.Add(Contender.Timed("qemu-img snapshot -c", Role.Peer, peer.TakeInternal));
        bool isSlow = c.Id == "2048-tables" || c.Size > 100 * GiB;
        run.Measure(isSlow ? run.Scale.Pick(8, 2, 1) : run.Scale.Pick(21, 9, 1), isSlow ? run.Scale.Pick(4, 0, 0) : 8, contenders);
        run.GoalFlat(1.3, "a small new disk");
        if (c.Id == "2048-tables" && !restore) run.GoalFaster(100, "`snapshot -c`");
        else if (restore) run.GoalFaster(4, "`snapshot -a`");

        void Work(BenchStore on)
        {
            if (restore) on.Restore("vm", "point");
            else on.Snapshot("vm");
        }
    }
}
