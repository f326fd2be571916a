using SnapshotTools.Core.Catalog;
using SnapshotTools.Embedded;
using SnapshotTools.Testing;

namespace SnapshotTools.Core.Tests.Reliability;

/// <summary>A store with some of everything, the operations that are tried on it, and all that a user can see of it.</summary>
internal sealed class StoreScenario : IDisposable
{
    private readonly TempFolder _folder = TempFolder.InMemory();
    private int _copies;

    public StoreScenario()
    {
        Directory.CreateDirectory(Root);
        Prepare();
    }

    /// <summary>Every operation, by a name for messages.</summary>
    public static Dictionary<string, Action<SnapshotEngine, StoreScenario>> Acts { get; } = new()
    {
        ["snapshot"] = (e, _) => e.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "c" }).Run(),
        ["volume snapshot"] = (e, _) => e.VolumeSnapshots.Create("db", "c", null, false).Run(),
        ["restore"] = (e, _) => e.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "a" }).Run(),
        ["restore with backup"] = (e, _) => e.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "a", KeepBackup = true }).Run(),
        ["restore that fails"] = (e, _) => FailRestore(e, FailAction.None),
        ["restore that fails once"] = (e, _) => FailRestore(e, FailAction.Retry),
        ["volume restore"] = (e, _) => e.VolumeSnapshots.Restore("db", "a", false).Run(),
        ["remove, merging"] = (e, _) => e.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web01", Snapshot = "a" }).Run(),
        ["remove the last"] = (e, _) => e.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web01", Snapshot = "b" }).Run(),
        ["remove the tree"] = (e, _) => e.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web01", Snapshot = "a", IncludeChildren = true }).Run(),
        ["rename"] = (e, _) => e.Snapshots.Rename("web01", "a", "renamed").Run(),
        ["new volume"] = (e, _) => e.Volumes.Create(new NewVolumeRequest { Name = "new", SizeBytes = 1 << 20 }).Run(),
        ["import"] = (e, s) => e.Volumes.Create(new NewVolumeRequest { Name = "new", ImagePath = s.Image }).Run(),
        ["linked volume"] = (e, _) => e.Volumes.Create(new NewVolumeRequest { Name = "new", FromVolumeSnapshot = e.VolumeSnapshots.Get("os", "a").Id }).Run(),
        ["linked clones"] = (e, _) => e.Volumes.Clone(new CloneRequest { Sources = [new CloneSource("os"), new CloneSource("db")], Linked = true }).Run(),
        ["clone"] = (e, _) => Copy(e, new CloneSource("os", e.VolumeSnapshots.Get("os", "b").Id)),
        ["clone of the present"] = (e, _) => Copy(e, new CloneSource("db")),
        ["replica"] = (e, _) => CopyAll(e, e.Machines.Clone(new VmCloneRequest { Source = "web01", Name = "web02", Snapshot = "a" }).Run().Clones),
        ["linked replica"] = (e, _) => e.Machines.Clone(new VmCloneRequest { Source = "web01", Name = "web02", Linked = true }).Run(),
        ["template"] = (e, _) => CopyAll(e, e.Templates.Create(new VmCloneRequest { Source = "web01", Name = "golden" }).Run().Clones),
        ["VMs of a template"] = (e, _) => e.Templates.Instantiate(new VmCloneRequest { Source = "base", Name = "node-#", Count = 2, Linked = true }).Run(),
        ["remove, flattening"] = (e, _) => e.Templates.Remove("base", DependantAction.Flatten).Run(),
        ["remove, deferring"] = (e, _) => e.Templates.Remove("base", DependantAction.Defer).Run(),
        ["new VM"] = (e, _) => e.Machines.Create(new NewVmRequest { Name = "web02", Volumes = [new AttachRequest("spare")] }).Run(),
        ["changed VM"] = (e, _) => e.Machines.Set("web01", new VmChanges { ProcessorCount = 3, Description = "changed" }).Run(),
        ["attach"] = (e, _) => e.Machines.Attach("web01", new AttachRequest("spare")).Run(),
        ["resize"] = (e, _) => e.Volumes.Resize("spare", 2 << 20, false).Run(),
        ["remove volume"] = (e, _) => e.Volumes.Remove("spare", false).Run(),
        ["remove VM"] = (e, _) => e.Machines.Remove("web01", true, true).Run(),
    };

    /// <summary>The directory with all that the operations touch.</summary>
    public string Root => _folder.File("root");

    /// <summary>The store as it is before an operation. Nothing has it open.</summary>
    public string Prepared => Path.Combine(Root, "store");

    /// <summary>A raw disk to import.</summary>
    public string Image => Path.Combine(Root, "image.raw");

    /// <summary>A path for a directory that is not there yet.</summary>
    public string NewDirectory() => _folder.File($"copy{Interlocked.Increment(ref _copies)}");

    /// <summary>A copy of the prepared store.</summary>
    public string Copy() => Copy(Prepared);

    /// <summary>A copy of a store.</summary>
    public string Copy(string store)
    {
        string copy = NewDirectory();
        Tool.Run("cp", ["-a", store, copy]);
        return copy;
    }

    /// <summary>All that a user can see: volumes, snapshots, what they read as, and how they hang together.</summary>
    public static string StateOf(string directory)
    {
        using var engine = EmbeddedStore.Open(directory);
        return StateOf(engine);
    }

    /// <inheritdoc cref="StateOf(string)"/>
    public static string StateOf(SnapshotEngine engine)
    {
        var lines = new List<string>();
        foreach (var vm in engine.Machines.Find()) lines.Add($"vm {vm.Name} {vm.State} {vm.ProcessorCount} at {(vm.CurrentSnapshot is { } current ? Plain(current) : null)}: {Disks(vm.Volumes)}, firmware {TestStore.FirmwareOf(engine, vm.Name)}");
        foreach (var template in engine.Templates.Find()) lines.Add($"template {template.Name}: {Disks(template.Volumes)}, firmware {TestStore.FirmwareOf(engine, template.Name)}");
        foreach (var volume in engine.Volumes.Find()) lines.Add($"volume {volume.Name} {volume.SizeBytes} {TestStore.HashFile(volume.Path)}");
        foreach (var s in engine.Snapshots.Find(new SnapshotQuery())) lines.Add($"snapshot {Plain(s.Name)} on {s.ParentName}: {string.Join(' ', s.Volumes.Select(v => TestStore.HashFile(v.Path)))}, firmware {TestStore.FirmwareOf(engine, s.VmName, s.Name)}");
        foreach (var s in engine.VolumeSnapshots.Find([], [])) lines.Add($"volume snapshot {s.VolumeName} {Plain(s.Name)}");
        return string.Join('\n', lines);

        // New volumes have new ids each time.
        static string Disks(IReadOnlyList<VmAttachment> volumes) => string.Join(' ', volumes.Select(v => v with { VolumeId = default }));

        static string Plain(string name) => name.StartsWith("backup-", StringComparison.Ordinal) ? "backup" : name;
    }

    /// <summary>Fails unless the store tests clean and has no file that nothing owns.</summary>
    public static void AssertClean(SnapshotEngine engine, string when = "at the end")
    {
        var findings = engine.Test();
        Assert.True(findings.Count == 0, $"{when}: {string.Join("; ", findings)}");
        var store = engine.GetStore();
        AssertCount(store.LayerCount, "layers");
        AssertCount(store.VolumeCount, "volumes");

        void AssertCount(long count, string folder)
        {
            string[] files = Directory.GetFiles(Path.Combine(store.Path, folder));
            Assert.True(count == files.Length, $"{when}: the catalog has {count} {folder}, and there are {files.Length} files: {string.Join(", ", files.Select(Path.GetFileName))}");
        }
    }

    /// <summary>Ends the copies that a fault or a kill has interrupted.</summary>
    public static void EndCopies(SnapshotEngine engine)
    {
        foreach (var open in engine.Operations.Find().Where(o => o is { Kind: OperationKind.Copy, State: not OperationState.Completed }))
            Assert.Equal(OperationState.Completed, engine.Operations.Run([engine.Operations.Resume(open.Id).Run().Id])[0].State);
    }

    /// <summary>Makes a store believe that the machine was restarted since it was last open.</summary>
    public static void ForgetBoot(string store)
    {
        Execute(Path.Combine(store, "catalog.sqlite"), "UPDATE store SET boot_id = 'the boot before'");
    }

    /// <summary>Runs the statements of a text on a catalog, past everything that guards it.</summary>
    public static void Execute(string catalog, string sql)
    {
        using var connection = Connection.Open(catalog);
        Statement.RunAll(connection.DangerousGetHandle(), sql);
    }

    /// <summary>Does operations by their names.</summary>
    public static void Do(SnapshotEngine engine, params IEnumerable<string> acts)
    {
        foreach (string act in acts) Acts[act](engine, null!);
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>A restore whose disk fails once, when its new heads are durable.</summary>
    private static void FailRestore(SnapshotEngine engine, FailAction action)
    {
        bool failed = false;
        void Log(string line)
        {
            if (failed || !line.Contains("new heads are durable", StringComparison.Ordinal)) return;
            failed = true;
            throw new IOException("The disk fails, as it is to.");
        }
        try
        {
            engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "a", FailAction = action }).Run(new RunOptions { Log = Log });
        }
        catch (SnapshotException error) when (failed && error.ErrorId == ErrorIds.RestoreFailed)
        {
            // So it is to end.
        }
    }

    private static void Copy(SnapshotEngine engine, CloneSource source) => CopyAll(engine, engine.Volumes.Clone(new CloneRequest { Sources = [source] }).Run());

    private static void CopyAll(SnapshotEngine engine, CloneResult made) => engine.Operations.Run([.. made.Copies.Select(o => o.Id)]);

    /// <summary>A template, and a VM of it that is its linked clone.</summary>
    private static void PrepareTemplate(TestStore store)
    {
        store.NewVolume("seed", 512 << 10);
        store.Engine.Machines.Create(new NewVmRequest { Name = "seed", Volumes = [new AttachRequest("seed")] }).Run();
        store.Write("seed", 0, 100_000, 5);
        store.WriteFirmware("seed", 5);
        CopyAll(store.Engine, store.Engine.Templates.Create(new VmCloneRequest { Source = "seed", Name = "base" }).Run().Clones);
        store.Engine.Machines.Remove("seed", true, true).Run();
        store.Engine.Templates.Instantiate(new VmCloneRequest { Source = "base", Name = "node", Linked = true }).Run();
        store.Write(store.Engine.Machines.Get("node").Volumes[0].Volume, 50_000, 100_000, 6);
    }

    /// <summary>A VM with two disks, two snapshots and a present of its own, and a volume that nobody has.</summary>
    private void Prepare()
    {
        using var store = new TestStore();
        foreach (string name in new[] { "os", "db", "spare" }) store.NewVolume(name, 512 << 10);
        store.Engine.Machines.Create(new NewVmRequest { Name = "web01", Volumes = [new AttachRequest("os"), new AttachRequest("db")] }).Run();
        store.Write("os", 0, 300_000, 1);
        store.Snapshot("web01", "a");
        store.Write("os", 200_000, 150_000, 2);
        store.Write("db", 0, 70_000, 3);
        store.WriteFirmware("web01", 3);     // after 'a', which has none
        store.Snapshot("web01", "b");
        store.WriteFirmware("web01", 4);
        store.Write("os", 0, 10, 4);
        PrepareTemplate(store);
        store.Engine.Dispose();
        Tool.Run("cp", ["-a", store.Directory, Prepared]);
        byte[] image = new byte[1 << 20];
        new Random(1).NextBytes(image.AsSpan(0, 200_000));
        File.WriteAllBytes(Image, image);
    }
}
