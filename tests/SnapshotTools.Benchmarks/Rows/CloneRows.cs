using SnapshotTools.Benchmarks.Harness;
using SnapshotTools.Core;

namespace SnapshotTools.Benchmarks.Rows;

/// <summary>Linked clones: new volumes over a snapshot's layer.</summary>
internal static class CloneRows
{
    private const long DiskBytes = 20L << 30;

    public static IEnumerable<Row> All => [Clones(1, 4), Clones(50, 10)];

    private static Row Clones(int count, double goal) => new($"clone/{count}", $"linked clone ×{count}", run =>
    {
        RowRun.Require("qemu-img");
        using (var warm = NewStore("warm", out var point)) run.WarmUp(count > 1 ? 10 : 100, () => { Clone(warm, point); Remove(warm); });
        using var store = NewStore("store", out var golden);
        string peers = run.NewFolder("peer"), image = Images.Create(run.File("golden.qcow2"), DiskBytes, i => Images.Spread(i, 1 << 20, 1 << 20));
        IReadOnlyList<string>[] calls = [.. Enumerable.Range(0, count).Select(i => (IReadOnlyList<string>)["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image, PeersClone(i)])];
        using var limit = new FsyncLimit(run.NewFolder("limit"), count, flushesLayers: false);
        List<Contender> contenders =
        [
            Contender.Timed($"Copy-Volume -Linked ×{count}{(count > 1 ? " in one call" : "")}, durable", Role.Ours, () => Clone(store, golden), after: () => Remove(store)),
            Contender.Timed($"qemu-img create -b ×{count}{(count > 1 ? ", all at once" : "")}", Role.Peer, () => Peer.RunAll("qemu-img", calls), after: Delete),
            Contender.Timed("the fsyncs for it, at once", Role.Limit, limit.Run),
        ];
        if (count > 1) contenders.Add(Contender.Timed($"qemu-img create -b ×{count}, one after the other", Role.Peer, () => { foreach (var call in calls) Peer.Run("qemu-img", call); }, after: Delete));
        run.Measure(count > 1 ? run.Scale.Pick(11, 3, 1) : run.Scale.Pick(31, 11, 1), count > 1 ? 1 : 8, contenders);
        run.GoalFaster(goal, "`qemu-img create -b`");

        BenchStore NewStore(string name, out VolumeSnapshot source)
        {
            var made = new BenchStore(run.NewFolder(name));
            made.NewVm("vm", 1, DiskBytes);
            source = made.Snapshot("vm", "golden").Volumes[0];
            return made;
        }

        void Clone(BenchStore at, VolumeSnapshot source) => at.Engine.Volumes.Clone(new CloneRequest
        {
            Sources = [.. Enumerable.Range(0, count).Select(i => new CloneSource(source.VolumeName, source.Id, $"clone{i}"))],
            Linked = true,
        }).Run();

        void Remove(BenchStore at)
        {
            for (int i = 0; i < count; i++) at.Engine.Volumes.Remove($"clone{i}", removeSnapshots: false).Run();
        }

        string PeersClone(int i) => Path.Combine(peers, $"clone{i}.qcow2");

        void Delete()
        {
            for (int i = 0; i < count; i++) File.Delete(PeersClone(i));
        }
    });
}
