using System.Diagnostics;
using System.Text.Json.Nodes;
using SnapshotTools.Benchmarks.Harness;
using SnapshotTools.IO;
using SnapshotTools.Qemu.Live;

namespace SnapshotTools.Benchmarks.Rows;

/// <summary>Checkpoints: disks and memory of one instant. Measured once for each size of RAM, shown in three rows.</summary>
internal static class CheckpointRows
{
    private static readonly Dictionary<(Scale, int), Measurements> Measured = [];

    /// <summary>What one contender took. A limit has only what it is the limit of.</summary>
    /// <param name="Times">Until all was durable, of a guest that does nothing.</param>
    /// <param name="TickingTimes">The same of one that gives a sign of life each millisecond.</param>
    private sealed record Figures(string Name, Role Role, List<double> Pauses, List<double> Gaps, List<double> Times, List<double> TickingTimes, List<double> Sizes);

    private sealed record Measurements(IReadOnlyList<Figures> All, string? NoVirsh);

    public static IEnumerable<Row> All =>
    [
        Pause(256, 128), Pause(1024, 784),
        new("checkpoint/1GiB-time", "checkpoint, 1 GiB of RAM: until the memory file is durable", Time) { IsQuick = false },
        new("checkpoint/1GiB-size", "checkpoint, 1 GiB of RAM: size of the memory file", run => Show(run, Unit.Bytes, 1024, 784, f => f.Sizes)) { IsQuick = false },
    ];

    private static Row Pause(int ram, int used) => new($"checkpoint/{(ram >= 1024 ? "1GiB" : ram + "MiB")}", $"pause of a checkpoint, {(ram >= 1024 ? "1 GiB" : ram + " MiB")} of RAM, {used} MiB used", run =>
    {
        var (all, noVirsh) = Measure(run, ram, used);
        foreach (var f in all.Where(f => f.Pauses.Count > 0)) run.Add(f.Name, f.Role, f.Pauses);
        foreach (var f in all.Where(f => f.Gaps.Count > 0)) run.Add($"{f.Name}, as the guest saw it", Role.Aside, f.Gaps);
        run.GoalAtMost(0.015);
        if (ram >= 1024)
        {
            run.GoalFaster(50);
            if (Measured.TryGetValue((run.Scale, 256), out var smaller))
            {
                run.Add("the same with 256 MiB", Role.Reference, smaller.All[0].Pauses);
                run.GoalFlat(1.3, "a guest of 256 MiB");
            }
        }
        Explain(run, noVirsh);
        run.Note("QEMU without KVM (TCG)");
    })
    {
        IsQuick = ram < 1024,
    };

    private static void Time(RowRun run)
    {
        Show(run, Unit.Seconds, 1024, 784, f => f.Times);
        foreach (var f in Measure(run, 1024, 784).All.Where(f => f.TickingTimes.Count > 0)) run.Add($"{f.Name}, of a guest that gives signs of life", Role.Aside, f.TickingTimes);
        run.Note("the guest does nothing, but for that of virsh save, which gives signs of life until it stops. One that gives a sign of life each millisecond has a third to a half of a processor meanwhile; the peers' guests stand still");
    }

    private static void Show(RowRun run, Unit unit, int ram, int used, Func<Figures, List<double>> values)
    {
        run.Unit = unit;
        var (all, noVirsh) = Measure(run, ram, used);
        foreach (var f in all.Where(f => values(f).Count > 0)) run.Add(f.Name, f.Role, values(f));
        Explain(run, noVirsh);
        run.GoalFaster(1, unit == Unit.Bytes ? "the smallest" : "the fastest");
        if (unit == Unit.Bytes) run.Note("one ratio up to 1.00× is no larger; sixteen different MiB of noise, repeated, fill the guest's memory");
    }

    private static void Explain(RowRun run, string? noVirsh)
    {
        if (noVirsh is not null) run.NotRun($"virsh save: {noVirsh}");
        else run.Note("under virsh save the guest is gone until it is restored: its pause is the time from its last sign of life until virsh has returned; the restore is not measured. It is a twin of the guest, which libvirt started; each of the two stands still while it is not its turn");
    }

    private static Measurements Measure(RowRun run, int ram, int used)
    {
        bool isTimed = ram >= 1024 || run.Scale == Scale.Smoke;
        if (run.Scale == Scale.Smoke) (ram, used) = (160, 16);
        if (Measured.TryGetValue((run.Scale, ram), out var known)) return known;
        using var guest = new BenchGuest(run.Folder, disks: 1, ram);
        guest.View.FillMemory(used);
        using var virsh = VirshGuest.TryStart(run, disks: 1, ram, view => view.FillMemory(used), out string? noVirsh);
        List<Figures> all = [New("checkpoint, memory in the background", Role.Ours), New("QMP snapshot-save", Role.Peer), New("stop, migrate to a file, cont", Role.Peer)];
        if (virsh is not null) all.Add(New("virsh save", Role.Peer));
        Figures bare = New("stop and cont, with nothing in between", Role.Limit), write = New("write of as many bytes, then fsync", Role.Limit);
        List<Action> turns =
        [
            () => Take(guest, all[0], () => Ours(guest)),
            () => Take(guest, all[1], () => SnapshotSave(guest)),
            () => Take(guest, all[2], () => Migrate(guest)),
            () => bare.Gaps.Add(guest.View.GapAround(() => bare.Pauses.Add(Contender.Time(() => { guest.Qmp("stop"); guest.Qmp("cont"); })))),
            () => write.Times.Add(Write(guest, all[0].Sizes[^1])),
        ];
        if (virsh is not null) turns.Add(() => Save(guest, virsh, all[3]));
        InTurn(turns);
        List<Action> quietTurns =
        [
            () => TakeQuietly(guest, all[0], () => Ours(guest)),
            () => TakeQuietly(guest, all[1], () => SnapshotSave(guest)),
            () => TakeQuietly(guest, all[2], () => Migrate(guest)),
        ];
        if (isTimed) InTurn(quietTurns);
        return Measured[(run.Scale, ram)] = new Measurements([.. all, bare, write], noVirsh);

        void InTurn(List<Action> contenders)
        {
            for (int round = 0; round < run.Scale.Pick(7, 1, 1); round++)
                foreach (var turn in Turns.Of(contenders, round)) turn();
        }
    }

    private static Figures New(string name, Role role) => new(name, role, [], [], [], [], []);

    private static void Take(BenchGuest guest, Figures figures, Func<(double Pause, double Time, double Size)> work)
    {
        Native.SyncFileSystem(guest.Folder);
        (double Pause, double Time, double Size) measured = default;
        double gap = guest.View.GapAround(() => measured = work());
        figures.Pauses.Add(measured.Pause);
        figures.Gaps.Add(gap);
        figures.TickingTimes.Add(measured.Time);
        figures.Sizes.Add(measured.Size);
    }

    private static void TakeQuietly(BenchGuest guest, Figures figures, Func<(double Pause, double Time, double Size)> work)
    {
        guest.View.Quietly(() =>
        {
            Native.SyncFileSystem(guest.Folder);
            figures.Times.Add(work().Time);
        });
    }

    private static void Save(BenchGuest guest, VirshGuest virsh, Figures figures)
    {
        guest.Qmp("stop");
        Native.SyncFileSystem(guest.Folder);
        virsh.Resume();
        var (lost, time, size) = virsh.SaveAndRestore();
        virsh.Suspend();
        guest.Qmp("cont");
        figures.Pauses.Add(lost);
        figures.Gaps.Add(lost);
        figures.Times.Add(time);
        figures.Sizes.Add(size);
    }

    private static double Write(BenchGuest guest, double bytes)
    {
        Native.SyncFileSystem(guest.Folder);
        string path = guest.NewFile();
        byte[] data = new byte[1 << 20];
        Random.Shared.NextBytes(data);
        double time = Contender.Time(() =>
        {
            using var file = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite);
            for (long at = 0; at < bytes; at += data.Length) RandomAccess.Write(file, data, at);
            Native.SyncData(file);
        });
        File.Delete(path);
        return time;
    }

    private static (double, double, double) Ours(BenchGuest guest)
    {
        string path = guest.NewFile();
        using var file = SystemFiles.Instance.Create(path);
        var prepared = guest.Prepare();
        prepared.WriteOut(SystemFiles.Instance);
        var clock = Stopwatch.StartNew();
        var result = BenchGuest.Wait(Checkpoint.TakeAsync(guest.Machine, prepared, file));
        var size = BenchGuest.Wait(result.Completion);
        double time = clock.Elapsed.TotalSeconds;
        File.Delete(path);
        result.Settled.GetAwaiter().GetResult();    // or it would work beside who comes next
        return (result.Pause.TotalSeconds, time, size.FileBytes);
    }

    private static (double, double, double) SnapshotSave(BenchGuest guest)
    {
        string node = guest.TopNodes()[0];
        using var events = guest.Machine.Monitor.Watch("STOP", "RESUME", "JOB_STATUS_CHANGE");
        long before = new DirectoryInfo(guest.Folder).GetFiles().Sum(f => f.Length);
        var clock = Stopwatch.StartNew();
        guest.Qmp("snapshot-save", new JsonObject { ["job-id"] = "save", ["tag"] = "peer", ["vmstate"] = node, ["devices"] = new JsonArray(node) });
        var (stopped, resumed) = Ends(events, "save");
        double time = clock.Elapsed.TotalSeconds;
        EndJob(guest, "save");
        long size = new DirectoryInfo(guest.Folder).GetFiles().Sum(f => f.Length) - before;
        using (var deleted = guest.Machine.Monitor.Watch("JOB_STATUS_CHANGE"))
        {
            guest.Qmp("snapshot-delete", new JsonObject { ["job-id"] = "delete", ["tag"] = "peer", ["devices"] = new JsonArray(node) });
            Concluded(deleted, "delete");
        }
        EndJob(guest, "delete");
        return (Stopwatch.GetElapsedTime(stopped, resumed).TotalSeconds, time, size);
    }

    private static (double, double, double) Migrate(BenchGuest guest)
    {
        string path = guest.NewFile();
        guest.Qmp("migrate-set-capabilities", new JsonObject { ["capabilities"] = new JsonArray(new JsonObject { ["capability"] = "events", ["state"] = true }) });
        guest.Qmp("migrate-set-parameters", new JsonObject { ["max-bandwidth"] = 1L << 40 });
        using var events = guest.Machine.Monitor.Watch("MIGRATION");
        double pause = Contender.Time(() =>
        {
            guest.Qmp("stop");
            guest.Qmp("migrate", new JsonObject { ["uri"] = $"exec:cat >{path}" });
            string? status;
            do status = BenchGuest.Wait(events.NextAsync().WaitAsync(TimeSpan.FromMinutes(2))).Data.GetProperty("status").GetString();
            while (status is not ("completed" or "failed" or "cancelled"));
            if (status != "completed") throw new InvalidOperationException($"The peer's migration ended as '{status}'.");
            Continue(guest);
        });
        double flush = Contender.Time(() => { using var file = File.OpenHandle(path, access: FileAccess.ReadWrite); Native.SyncData(file); });
        long size = new FileInfo(path).Length;
        File.Delete(path);
        return (pause, pause + flush, size);
    }

    /// <summary>QEMU says that a migration has completed a moment before it lets the guest go on.</summary>
    private static void Continue(BenchGuest guest)
    {
        for (int tries = 0; ; tries++)
        {
            try
            {
                guest.Qmp("cont");
                return;
            }
            catch (Qemu.Qmp.QmpException) when (tries < 1000)
            {
                Thread.Sleep(1);
            }
        }
    }

    private static (long Stopped, long Resumed) Ends(Qemu.Qmp.QmpEventWatch events, string job)
    {
        long stopped = 0, resumed = 0;
        for (bool ended = false; !ended || resumed == 0;)
        {
            var happened = BenchGuest.Wait(events.NextAsync().WaitAsync(TimeSpan.FromMinutes(2)));
            if (happened.Name == "STOP") stopped = happened.ReceivedAt;
            else if (happened.Name == "RESUME") resumed = happened.ReceivedAt;
            else ended |= IsConcluded(happened, job);
        }
        return (stopped, resumed);
    }

    private static void Concluded(Qemu.Qmp.QmpEventWatch events, string job) => BenchGuest.Wait(events.NextAsync(e => IsConcluded(e, job)).WaitAsync(TimeSpan.FromMinutes(2)));

    private static bool IsConcluded(Qemu.Qmp.QmpEvent happened, string job) =>
        happened.Name == "JOB_STATUS_CHANGE" && happened.Data.GetProperty("id").GetString() == job && happened.Data.GetProperty("status").GetString() == "concluded";

    private static void EndJob(BenchGuest guest, string job)
    {
        var info = guest.Qmp("query-jobs").EnumerateArray().First(j => j.GetProperty("id").GetString() == job);
        if (info.TryGetProperty("error", out var error)) throw new InvalidOperationException($"The peer's job '{job}' failed: {error.GetString()}");
        guest.Qmp("job-dismiss", new JsonObject { ["id"] = job });
    }
}
