using System.Text.Json.Nodes;
using SnapshotTools.Benchmarks.Harness;
using SnapshotTools.IO;

namespace SnapshotTools.Benchmarks.Rows;

/// <summary>For how long a running guest stands still while a snapshot of its disks is taken.</summary>
internal static class LiveRows
{
    private static readonly int[] DiskCounts = [1, 4, 16];

    public static IEnumerable<Row> All => DiskCounts.SelectMany(disks => new[] { Row(disks, load: false), Row(disks, load: true) });

    private static Row Row(int disks, bool load) => new($"live/{disks}-{(load ? "load" : "idle")}", $"pause of a live snapshot, {disks} disk{(disks > 1 ? "s" : "")}, guest {(load ? "writing" : "idle")}", run =>
    {
        using var guest = new BenchGuest(run.Folder, run.Scale.Pick(disks, disks, 2), memoryMiB: 192);
        if (load) guest.StartLoad();
        var gaps = new Dictionary<string, List<double>>();
        run.Measure(run.Scale.Pick(15, 7, 1), 2,
            Watched("snapshot: the switch", Role.Ours, () => Ours(guest)),
            Watched("stop, blockdev-snapshot-sync for each disk, cont", Role.Peer, () => SnapshotSync(guest)),
            Watched("bare transaction of blockdev-snapshot onto open heads", Role.Limit, () => Bare(guest)));
        foreach (var (name, values) in gaps) run.Add($"{name}, as the guest saw it", Role.Aside, run.Scale == Scale.Smoke ? values : values.Skip(2));
        run.GoalOfLimit(1.2, "the bare transaction");
        run.GoalFaster(3, "`blockdev-snapshot-sync`");
        run.NotRun("virsh snapshot-create-as: " + (Testing.Tool.Find("virsh") is null ? "not on this machine" : "it needs a libvirt that started the guest itself"));
        run.Note("QEMU without KVM (TCG): what the guest saw holds up to a millisecond between its signs of life, and the host's scheduling");

        Contender Watched(string name, Role role, Func<double> work) => new(name, role, () =>
        {
            double pause = 0;
            double gap = guest.GapAround(() => pause = work());
            (gaps.TryGetValue(name, out var list) ? list : gaps[name] = []).Add(gap);
            return pause;
        });
    })
    {
        IsQuick = (disks, load) is (4, true),
    };

    private static double Ours(BenchGuest guest)
    {
        var prepared = guest.Prepare();
        prepared.WriteOut(SystemFiles.Instance);
        return BenchGuest.Wait(prepared.CommitAsync()).TotalSeconds;
    }

    private static double SnapshotSync(BenchGuest guest)
    {
        string[] nodes = guest.TopNodes();
        return Contender.Time(() =>
        {
            guest.Qmp("stop");
            foreach (string node in nodes)
            {
                string file = guest.NewFile();
                guest.Qmp("blockdev-snapshot-sync", new JsonObject { ["node-name"] = node, ["snapshot-file"] = file, ["snapshot-node-name"] = "peer-" + Path.GetFileNameWithoutExtension(file), ["format"] = "qcow2" });
            }
            guest.Qmp("cont");
        });
    }

    private static double Bare(BenchGuest guest)
    {
        string[] nodes = guest.TopNodes();
        var actions = new JsonArray();
        foreach (string node in nodes)
        {
            string file = Images.Create(guest.NewFile(), 256L << 20), name = "bare-" + Path.GetFileNameWithoutExtension(file);
            guest.Qmp("blockdev-add", new JsonObject { ["driver"] = "file", ["node-name"] = name + "-file", ["filename"] = file });
            guest.Qmp("blockdev-add", new JsonObject { ["driver"] = "qcow2", ["node-name"] = name, ["file"] = name + "-file", ["backing"] = null });
            actions.Add(new JsonObject { ["type"] = "blockdev-snapshot", ["data"] = new JsonObject { ["node"] = node, ["overlay"] = name } });
        }
        return Contender.Time(() => guest.Qmp("transaction", new JsonObject { ["actions"] = actions }));
    }
}
