using System.Globalization;
using System.Runtime.InteropServices;
using SnapshotTools.Embedded;

namespace SnapshotTools.Core.Tests.Reliability;

/// <summary>This test assembly as a program of its own: one of many that work on a store at the same time, and that can be killed.</summary>
internal static partial class Worker
{
    /// <summary>Errors that work beside others may meet: somebody was faster, or is at it.</summary>
    private static readonly HashSet<string> Expected =
    [
        ErrorIds.VmBusy, ErrorIds.SharedVolumeBusy, ErrorIds.SnapshotNotFound, ErrorIds.VolumeNotFound, ErrorIds.PlanOutdated, ErrorIds.HasDependants, ErrorIds.ImageInUse,
        ErrorIds.NameExists, ErrorIds.VolumeHasSnapshots, ErrorIds.CloneInProgress,
    ];

    public static int Main(string[] arguments)
    {
        if (arguments is ["umask", var mask, var place, var image])
        {
            _ = SetMask(Convert.ToInt32(mask, 8));   // the one before
            return Record.Exception(() => UseAll(place, image)) is { } error ? Report(error) : 0;
        }
        if (arguments is ["do", var where, ..])
        {
            using var engine = EmbeddedStore.Open(where);
            StoreScenario.Do(engine, arguments[2..]);
            return 0;
        }
        if (arguments is ["starve", var poor, var act, var pieces]) return Starve(poor, act, int.Parse(pieces, CultureInfo.InvariantCulture));
        if (arguments is ["import", var into, ..])
        {
            Import(into, arguments[2..]);
            return 0;
        }
        if (arguments is ["work", var copies]) return WorkerProcessTests.Work(copies);
        if (arguments is ["copy", var copied, var operation]) return WorkerProcessTests.Copy(copied, Guid.Parse(operation));
        if (arguments is not ["work", var store, var id, var seed, var seconds]) return 2;
        try
        {
            Work(store, id, int.Parse(seed, CultureInfo.InvariantCulture), double.Parse(seconds, CultureInfo.InvariantCulture));
            return 0;
        }
        catch (Exception error)
        {
            return Report(error);
        }
    }

    [LibraryImport("libc", EntryPoint = "umask")]
    private static partial int SetMask(int mask);

    private static int Report(Exception error)
    {
        Say($"! {error}".ReplaceLineEndings(" | "));
        return 1;
    }

    /// <summary>Does an operation when all memory but some pieces of 16 KiB is taken. The caller has set the limit of the heap.</summary>
    private static int Starve(string store, string act, int pieces)
    {
        var ballast = new List<byte[]>(1 << 20);
        try
        {
            using var engine = EmbeddedStore.Open(store);
            // The collector makes room at each full heap, so that filling it once leaves more or less free, as the machine would have it.
            foreach (int size in new[] { 16 << 10, 16 << 10, 16 << 10, 256, 256, 24 })
            {
                try
                {
                    GC.Collect();
                    while (true) ballast.Add(new byte[size]);
                }
                catch (OutOfMemoryException)
                {
                    // Full, but for smaller things.
                }
            }
            ballast.RemoveRange(0, pieces);
            StoreScenario.Do(engine, [act]);
            return 0;
        }
        catch (OutOfMemoryException)
        {
            ballast.Clear();
            Say("starved");
            return 3;
        }
        finally
        {
            GC.KeepAlive(ballast);
        }
    }

    /// <summary>Makes a store with every kind of file in it.</summary>
    private static void UseAll(string store, string image)
    {
        EmbeddedStore.Initialize(store).Run();
        using var engine = EmbeddedStore.Open(store);
        engine.Volumes.Create(new NewVolumeRequest { Name = "empty", SizeBytes = 1 << 20 }).Run();
        engine.Volumes.Create(new NewVolumeRequest { Name = "imported", ImagePath = image }).Run();
        engine.Machines.Create(new NewVmRequest { Name = "vm", Volumes = [new AttachRequest("empty"), new AttachRequest("imported")] }).Run();
        engine.Snapshots.Create(new NewSnapshotRequest { Vm = "vm", Name = "a" }).Run();
        engine.Snapshots.Restore(new RestoreRequest { Vm = "vm", Snapshot = "a", KeepBackup = true }).Run();
        engine.Volumes.Export("imported", null, Path.Combine(Path.GetDirectoryName(store)!, "exported.raw"), ImageFileFormat.Raw).Run();
        File.WriteAllText(Path.Combine(store, "layers", "stranger.qcow2"), "x");
        engine.Repair().Run();
    }

    /// <summary>Tries to import images, each of which is refused or not.</summary>
    private static void Import(string store, string[] images)
    {
        using var engine = EmbeddedStore.Open(store);
        foreach (string image in images)
        {
            foreach (bool adopt in new[] { false, true })
            {
                var error = Record.Exception(() => engine.Volumes.Create(new NewVolumeRequest { Name = "v", ImagePath = image, ImageFormat = ImageFileFormat.Qcow2, Adopt = adopt }).Run());
                Say($"{Path.GetFileName(image)} {(error as SnapshotException)?.ErrorId ?? error?.ToString().ReplaceLineEndings(" ") ?? "done"}");
            }
        }
    }

    private static void Work(string store, string id, int seed, double seconds)
    {
        var random = new Random(seed);
        var end = DateTime.UtcNow.AddSeconds(seconds);
        using var engine = EmbeddedStore.Open(store, line => Say($"# {line}"));
        Say("ready");
        for (int n = 0; DateTime.UtcNow < end; n++)
        {
            string vm = $"vm{random.Next(ManyHands.Vms)}", name = $"{id}-{n}";
            var options = new RunOptions { WaitForLock = random.Next(2) == 0 ? TimeSpan.Zero : TimeSpan.FromSeconds(30), Warn = text => Say($"# {text}".ReplaceLineEndings(" ")) };
            try
            {
                Step(engine, random, vm, name, options);
            }
            catch (SnapshotException error) when (Expected.Contains(error.ErrorId))
            {
                Say($"x {error.ErrorId}");
            }
        }
    }

    /// <summary>What begins is said before, what is done is said after: between the two lines only the store knows.</summary>
    private static void Step(SnapshotEngine engine, Random random, string vm, string name, RunOptions options)
    {
        switch (random.Next(10))
        {
            case < 4:
                var take = engine.Snapshots.Create(new NewSnapshotRequest { Vm = vm, Name = name });
                Say($"?+ {vm}/{name}");
                take.Run(options);
                Say($"+ {vm}/{name}");
                break;
            case < 6:
                if (Some(engine, random, vm) is { } doomed)
                {
                    var remove = engine.Snapshots.Remove(new RemoveSnapshotRequest { Vm = vm, Snapshot = doomed.Id.ToString() });
                    Say($"?- {vm}/{doomed.Name}");
                    remove.Run(options);
                    Say($"- {vm}/{doomed.Name}");
                }
                break;
            case 6:
                if (Some(engine, random, vm) is { } back) engine.Snapshots.Restore(new RestoreRequest { Vm = vm, Snapshot = back.Id.ToString() }).Run(options);
                Say("restored");
                break;
            case 7:
                if (Some(engine, random, vm) is { } source)
                {
                    engine.Volumes.Create(new NewVolumeRequest { Name = $"clone-{name}", FromVolumeSnapshot = source.Volumes[0].Id }).Run(options);
                    engine.Volumes.Remove($"clone-{name}", false).Run(options);
                }
                Say("cloned");
                break;
            case 8:
                engine.Snapshots.Find(new SnapshotQuery());
                engine.Volumes.Find();
                Say("listed");
                break;
            default:
                if (Some(engine, random, vm) is { } changed) engine.Snapshots.Set(vm, changed.Id.ToString(), new SnapshotChanges { Tags = [name] }).Run(options);
                Say("changed");
                break;
        }
    }

    private static VmSnapshot? Some(SnapshotEngine engine, Random random, string vm)
    {
        var all = engine.Snapshots.Find(new SnapshotQuery { Vms = [vm] });
        return all.Count == 0 ? null : all[random.Next(all.Count)];
    }

    private static void Say(string line)
    {
        Console.Out.WriteLine(line);
        Console.Out.Flush();
    }
}
