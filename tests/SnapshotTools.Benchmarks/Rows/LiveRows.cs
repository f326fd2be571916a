using System.Text.Json.Nodes;
using SnapshotTools.Benchmarks.Harness;
using SnapshotTools.IO;
using SnapshotTools.Qemu.Blocks;

namespace SnapshotTools.Benchmarks.Rows;

/// <summary>For how long a running guest stands still while a snapshot of its disks is taken.</summary>
internal static class LiveRows
{
    private const int MemoryMiB = 192;
    private const string
        Switch = "snapshot: the switch", Whole = "snapshot: the whole", Nothing = "nothing, for as long as virsh takes",
        Virsh = "virsh snapshot-create-as --disk-only --atomic", AsSeen = ", as the guest saw it";
    private static readonly int[] DiskCounts = [1, 4, 16];

    public static IEnumerable<Row> All => DiskCounts.SelectMany(disks => new[] { Row(disks, load: false), Row(disks, load: true) });

    private static Row Row(int disks, bool load) => new($"live/{disks}-{(load ? "load" : "idle")}", $"pause of a live snapshot, {disks} disk{(disks > 1 ? "s" : "")}, guest {(load ? "writing" : "idle")}", run =>
    {
        int count = run.Scale.Pick(disks, disks, 2);
        using var guest = new BenchGuest(run.Folder, count, MemoryMiB);
        Ready(guest.View);
        using var virsh = VirshGuest.TryStart(run, count, MemoryMiB, Ready, out string? noVirsh);
        int rounds = run.Scale.Pick(15, 2, 1), warmUps = run.Scale.Pick(2, 1, 0);
        if (virsh is null) run.NotRun($"{Virsh}: {noVirsh}");
        else BesideVirsh(run, rounds, warmUps, guest, virsh);
        var gaps = new Dictionary<string, List<double>>();
        // With one disk the pause is a few milliseconds, of which the host takes one now and then: more rounds, since they are short.
        run.Measure(disks == 1 ? run.Scale.Pick(31, rounds, rounds) : rounds, warmUps,
            Watched(Switch, Role.Ours, () => Ours(guest)),
            Watched("stop, blockdev-snapshot-sync for each disk, cont", Role.Peer, () => SnapshotSync(guest)),
            Watched("bare transaction of blockdev-snapshot onto open heads", Role.Limit, () => Bare(guest)));
        foreach (var (name, values) in gaps) run.Add(name + AsSeen, Role.Aside, values.Skip(warmUps));
        run.GoalOfLimit(1.2, "the bare transaction");
        run.GoalFaster(3, "`blockdev-snapshot-sync`");
        run.Note("QEMU without KVM (TCG): what the guest saw holds up to a millisecond between its signs of life, and the host's scheduling");

        void Ready(GuestView view)
        {
            if (load) view.StartLoad(count);
        }

        Contender Watched(string name, Role role, Func<double> work) => new(name, role, () =>
        {
            double pause = 0;
            double gap = guest.View.GapAround(() => pause = work());
            (gaps.TryGetValue(name, out var list) ? list : gaps[name] = []).Add(gap);
            return pause;
        });
    })
    {
        IsQuick = (disks, load) is (4, true),
    };

    /// <summary>Our whole snapshot and virsh's, by nothing but the guests' signs of life: of virsh's pause nothing else is known. It comes first, with chains of one length for both.</summary>
    private static void BesideVirsh(RowRun run, int rounds, int warmUps, BenchGuest guest, VirshGuest virsh)
    {
        double took = 0;
        run.Measure(rounds, warmUps,
            new Contender(Whole + AsSeen, Role.Aside, () => guest.View.GapAround(() => Ours(guest))),
            new Contender(Virsh + AsSeen, Role.Aside, () => virsh.View.GapAround(() => took = Contender.Time(virsh.Snapshot)))
            {
                Before = () =>
                {
                    guest.Qmp("stop");
                    virsh.Resume();
                },
                After = () =>
                {
                    virsh.Suspend();
                    guest.Qmp("cont");
                },
            },
            new Contender(Nothing + AsSeen, Role.Aside, () => guest.View.GapAround(() => Thread.Sleep(TimeSpan.FromSeconds(took)))));
        run.GoalFasterBetween(5, Whole + AsSeen, Virsh + AsSeen, "virsh, as the guests saw both");
        run.Note("virsh works on a twin of the guest, which libvirt started; each of the two stands still while it is not its turn. Of both the largest gap between two signs of life is taken, from the begin of the whole operation to its end; where it is near to that of doing nothing for as long, the ratio says little");
    }

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
            foreach (var (node, file) in nodes.Zip(guest.NewHeads(_ => guest.NewFile())))
                guest.Qmp("blockdev-snapshot-sync", new JsonObject { ["node-name"] = node, ["snapshot-file"] = file, ["snapshot-node-name"] = NodeName.OfLayer(file), ["format"] = "qcow2" });
            guest.Qmp("cont");
        });
    }

    private static double Bare(BenchGuest guest)
    {
        string[] nodes = guest.TopNodes();
        var actions = new JsonArray();
        foreach (var (node, file) in nodes.Zip(guest.NewHeads(guest.MakeHead)))
        {
            guest.Qmp("blockdev-add", new JsonObject { ["driver"] = "file", ["node-name"] = NodeName.OfFile(file), ["filename"] = file });
            guest.Qmp("blockdev-add", new JsonObject { ["driver"] = "qcow2", ["node-name"] = NodeName.OfLayer(file), ["file"] = NodeName.OfFile(file), ["backing"] = null });
            actions.Add(new JsonObject { ["type"] = "blockdev-snapshot", ["data"] = new JsonObject { ["node"] = node, ["overlay"] = NodeName.OfLayer(file) } });
        }
        return Contender.Time(() => guest.Qmp("transaction", new JsonObject { ["actions"] = actions }));
    }
}
