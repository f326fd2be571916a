using System.Security.Cryptography;
using SnapshotTools.Benchmarks.Harness;
using SnapshotTools.Core;
using SnapshotTools.Embedded;

namespace SnapshotTools.Benchmarks.Rows;

/// <summary>Removing a snapshot with much changed since or before: a merge in the direction that copies less.</summary>
internal static class MergeRows
{
    private const long MiB = 1 << 20;

    public static IEnumerable<Row> All =>
    [
        new("remove/down", "remove a snapshot, 1 GiB changed since: merged down", run => Merge(run, down: true)),
        new("remove/up", "remove a snapshot, 1 GiB changed before: merged up", run => Merge(run, down: false)) { IsQuick = false },
    ];

    private static void Merge(RowRun run, bool down)
    {
        RowRun.Require("qemu-img", "cp");
        long changed = run.Scale.Pick(1024, 128, 4) * MiB, other = changed * 5 / 4 / (4 * MiB) * (4 * MiB), size = 20L << 30;
        string ours = run.File("store"), peer = run.File("peer");
        Directory.CreateDirectory(peer);
        using (var store = new BenchStore(ours))
        {
            // down: the removed snapshot's layer holds more than the head.  up: it holds less, and lies over another that stays.
            store.NewVm("vm", 1, size);
            store.Write("vm-0", i => Images.Spread(i, other));
            if (!down)
            {
                store.Snapshot("vm", "stays");
                store.Write("vm-0", i => Images.WriteNoise(i, 0, changed));
            }
            store.Snapshot("vm", "goes");
            store.Write("vm-0", i => Images.WriteNoise(i, down ? 0 : changed / 2, down ? changed : other));
        }
        string bottom = Images.Create(Path.Combine(peer, "bottom.qcow2"), size, i => Images.Spread(i, other));
        string middle = down ? bottom : Images.Create(Path.Combine(peer, "middle.qcow2"), size, i => Images.WriteNoise(i, 0, changed), bottom);
        string top = Images.Create(Path.Combine(peer, "top.qcow2"), size, i => Images.WriteNoise(i, down ? 0 : changed / 2, down ? changed : other), middle);

        string work = run.File("work"), raw = run.File("raw"), copied = run.File("copied");
        // Merged up, half of the layer is written over by the one above it and not moved.
        File.WriteAllBytes(raw, RandomNumberGenerator.GetBytes((int)(down ? changed : changed / 2)));
        SnapshotEngine? engine = null;
        List<Contender> contenders =
        [
            Contender.Timed("remove, durable", Role.Ours, () => engine!.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "vm", Snapshot = "goes" }).Run(),
                before: () => { Copy(ours); engine = EmbeddedStore.Open(work); }, after: () => { engine!.Dispose(); Delete(); }),
            down
                ? Contender.Timed("qemu-img commit", Role.Peer, () => Peer.Run("qemu-img", "commit", "-q", Path.Combine(work, "top.qcow2")), before: () => { Copy(peer); Relink(top, bottom); }, after: Delete)
                : Contender.Timed("qemu-img rebase", Role.Peer, () => Peer.Run("qemu-img", "rebase", "-f", "qcow2", "-F", "qcow2", "-b", Path.Combine(work, "bottom.qcow2"), Path.Combine(work, "top.qcow2")),
                    before: () => { Copy(peer); Relink(middle, bottom); Relink(top, middle); }, after: Delete),
            Contender.Timed("read and write of as many bytes by 2 threads, then fsync", Role.Limit, () => RawCopy.ByThreads(raw, copied, 2), after: () => File.Delete(copied)),
            Contender.Timed("the same past the page cache (O_DIRECT), then fsync", Role.Limit, () => RawCopy.PastCache(raw, copied, 2), after: () => File.Delete(copied)),
        ];
        run.Measure(run.Scale.Pick(5, 2, 3), run.Scale.Pick(0, 1, 0), contenders);
        run.GoalFaster(1.3, down ? "`qemu-img commit`" : "`qemu-img rebase`");
        Copy(ours);
        using (engine = EmbeddedStore.Open(work))
        {
            long bytes = engine.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "vm", Snapshot = "goes" }).Plan.Steps.Sum(s => s.BytesCopied);
            run.Goal("bytes moved ≤ the smaller side", $"{bytes / MiB} of {changed / MiB} MiB", bytes <= changed);
        }

        void Copy(string from) => Peer.Run("cp", "-a", "--sparse=auto", from, work);
        void Delete() => Directory.Delete(work, recursive: true);
        void Relink(string image, string backing) => Peer.Run("qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2",
            "-b", Path.Combine(work, Path.GetFileName(backing)), Path.Combine(work, Path.GetFileName(image)));
    }
}
