using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using SnapshotTools.Embedded;
using SnapshotTools.IO;
using SnapshotTools.Qcow2;
using SnapshotTools.Testing;
using SnapshotTools.Testing.Files;

namespace SnapshotTools.Core.Tests.Reliability;

/// <summary>Each way in which a store can be damaged is found by a test of the store, named in a plan, and mended, or named as what cannot be.</summary>
public sealed class RepairTests : IDisposable
{
    private readonly StoreScenario _scenario = new();
    private readonly string _store;

    public RepairTests()
    {
        _store = _scenario.Copy();
        using var engine = EmbeddedStore.Open(_store);
        engine.Snapshots.Set("web01", "a", new SnapshotChanges { Description = "line\n'quoted' \u202e", Tags = ["keep", "nightly"], ExpiresAt = new DateTimeOffset(2040, 1, 1, 0, 0, 0, TimeSpan.Zero) }).Run();
        engine.Snapshots.Rename("web01", "b", "renamed").Run();
        engine.Machines.Create(new NewVmRequest { Name = "empty", Description = "a VM without a snapshot", Volumes = [new AttachRequest("spare")] }).Run();
        engine.VolumeSnapshots.Create("db", "alone", "of one volume", false).Run();
        // A snapshot that nothing lies on any more, and so no layer speaks of.
        engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "leaf", Tags = ["x"] }).Run();
        engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "a" }).Run();
    }

    private string Catalog => Path.Combine(_store, "catalog.sqlite");

    [Theory]
    [InlineData("deleted")]
    [InlineData("overwritten")]
    [InlineData("a page is damaged")]
    [InlineData("empty")]
    public void A_lost_catalog_is_rebuilt_with_every_fact(string how)
    {
        string before = Everything();
        Spoil(how);
        if (how != "a page is damaged") Assert.Equal(ErrorIds.CatalogDamaged, Assert.Throws<SnapshotException>(() => EmbeddedStore.Open(_store).Dispose()).ErrorId);

        var repair = EmbeddedStore.Repair(_store);
        Assert.Contains("4 VMs, 5 volumes, 4 snapshots", repair.Plan.ToString(), StringComparison.Ordinal);
        Assert.Empty(repair.Plan.Lost);
        Assert.All(repair.Run(), r => Assert.True(r.IsMended, r.ToString()));

        Assert.Equal(before, Everything());
        using var engine = EmbeddedStore.Open(_store);
        StoreScenario.AssertClean(engine);
        engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "after" }).Run();
        engine.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web01", Snapshot = "a", IncludeChildren = true }).Run();
        StoreScenario.AssertClean(engine);
    }

    [Fact]
    public void Without_a_ledger_the_layers_speak_for_themselves()
    {
        string[] before = StateOf();
        File.Delete(Catalog);
        File.Delete(Path.Combine(_store, "catalog.ledger"));

        Assert.All(EmbeddedStore.Repair(_store).Run(), r => Assert.True(r.IsMended, r.ToString()));

        using (var engine = EmbeddedStore.Open(_store))
        {
            StoreScenario.AssertClean(engine);
            var vm = Assert.Single(engine.Machines.Find());
            Assert.Equal(("web01", 2), (vm.Name, vm.Volumes.Count));
            var a = engine.Snapshots.Get("web01", "a");
            Assert.Equal((null, 2, true), (a.ParentName, a.Volumes.Count, a.IsCurrent));
            // What came of a restore since says of 'a' what it was by then.
            Assert.Equal(["keep", "nightly"], a.Tags);
            Assert.Equal(a.Id, engine.Snapshots.Get("web01", "b").ParentId);   // the name that it was taken with
            Assert.NotNull(engine.VolumeSnapshots.Get("db", "alone"));
            Assert.Contains(engine.VolumeSnapshots.Find(["os"], []), s => s.Name.StartsWith("recovered-", StringComparison.Ordinal));
        }
        // Each volume, and each snapshot that had a name, reads as before.
        string[] after = StateOf();
        Assert.Equal(before.Where(l => l.StartsWith("volume ", StringComparison.Ordinal) && !l.StartsWith("volume snapshot", StringComparison.Ordinal)), after.Where(l => l.StartsWith("volume ", StringComparison.Ordinal) && !l.StartsWith("volume snapshot", StringComparison.Ordinal)));
        Assert.Equal(before.First(l => l.StartsWith("snapshot a", StringComparison.Ordinal)), after.First(l => l.StartsWith("snapshot a", StringComparison.Ordinal)));
    }

    [Fact]
    public void A_rebuild_can_be_killed_at_any_moment_and_be_done_again()
    {
        string before = Everything();
        File.Delete(Catalog);
        int kills = 0;
        var changes = new Queue<FileCall>([FileCall.CreateDirectory, FileCall.Create, FileCall.Write, FileCall.Rename, FileCall.Delete, FileCall.Flush, FileCall.SyncDirectory]);
        for (int n = 1; changes.TryPeek(out var change); n++)
        {
            string store = _scenario.Copy(_store);
            var files = new FaultyFileSystem(SystemFiles.Instance);
            files.Fail(change, n, FaultKind.Kill, always: true);
            var error = Record.Exception(() => EmbeddedStore.Repair(files, store).Run());
            if (!files.Fired)
            {
                changes.Dequeue();
                n = 0;
                continue;
            }
            Assert.NotNull(error);
            kills++;
            EmbeddedStore.Repair(store).Run();
            Assert.Equal(before, Everything(store));
            Directory.Delete(store, recursive: true);
        }
        Assert.True(kills > 5, $"only {kills}");
        Effort.Count("crash states", kills);
    }

    [Theory]
    [InlineData("remove, merging", true)]
    [InlineData("remove, merging", false)]
    [InlineData("remove the last", true)]
    [InlineData("remove the last", false)]
    public void A_catalog_that_is_lost_in_the_middle_of_a_merge_is_rebuilt(string operation, bool ledger)
    {
        string[] before = Presents(_scenario.Prepared);
        int kills = 0;
        foreach (var change in new[] { FileCall.Write, FileCall.Flush, FileCall.Rename, FileCall.SyncDirectory, FileCall.SetFrozen, FileCall.Delete })
        {
            for (int n = 1; ; n++)
            {
                string store = _scenario.Copy();
                var files = new FaultyFileSystem(SystemFiles.Instance);
                var killed = EmbeddedStore.Open(files, store);
                files.Fail(change, n, FaultKind.Kill, always: true);
                Record.Exception(() => StoreScenario.Do(killed, operation));
                Record.Exception(killed.Dispose);
                if (!files.Fired) break;
                kills++;
                File.Delete(Path.Combine(store, "catalog.sqlite"));
                if (!ledger) File.Delete(Path.Combine(store, "catalog.ledger"));

                EmbeddedStore.Repair(store).Run();

                Assert.Equal(before, Presents(store));
                using (var engine = EmbeddedStore.Open(store))
                {
                    engine.Optimize().Run();
                    Assert.DoesNotContain(engine.Test(), f => f.Severity == FindingSeverity.Error);
                }
                Assert.Equal(before, Presents(store));
                Directory.Delete(store, recursive: true);
            }
        }
        Assert.True(kills > 10, $"only {kills}");
        Effort.Count("crash states", kills);

        // What the volumes that there were before a removal read as, by which name ever.
        static string[] Presents(string store) => [.. StoreScenario.StateOf(store).Split('\n').Where(l => l.StartsWith("volume ", StringComparison.Ordinal) && !l.StartsWith("volume snapshot", StringComparison.Ordinal))];
    }

    [Fact]
    public void A_catalog_that_another_process_rebuilt_meanwhile_is_left_alone()
    {
        File.Delete(Catalog);
        var late = EmbeddedStore.Repair(_store);
        EmbeddedStore.Repair(_store).Run();
        Guid made;
        using (var engine = EmbeddedStore.Open(_store))
        {
            engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "meanwhile" }).Run();
            made = engine.Operations.Find().MaxBy(o => o.StartedAt)!.Id;
        }

        late.Run();

        using var after = EmbeddedStore.Open(_store);
        Assert.Contains(after.Operations.Find(), o => o.Id == made);   // which no ledger has
    }

    [Fact]
    public void A_layer_that_somebody_writes_is_neither_called_damaged_nor_repaired()
    {
        string head;
        using (var engine = EmbeddedStore.Open(_store)) head = engine.Volumes.Get("os").HeadPath;
        using (var image = Qcow2Image.Open(SystemFiles.Instance, head, new ImageOpenOptions { Write = true })) image.SetBacking("../layers/nowhere.qcow2", ImageFormat.Qcow2);
        using var file = SystemFiles.Instance.Open(head, FileOpenMode.ReadWrite);
        Leak(file);
        byte[] before = File.ReadAllBytes(head);
        using (ImageLock.Acquire(file, ImageUse.Write))
        {
            using (var engine = EmbeddedStore.Open(_store))
            {
                // The tables are its writer's; what the header says is not.
                Assert.Equal("LayerBaseWrong", Assert.Single(engine.Test()).Code);
            }
            var repair = Assert.Single(EmbeddedStore.Repair(_store).Run(), r => r.Code == "LayerBaseWrong");
            Assert.False(repair.IsMended);
            Assert.Contains("in use", repair.Message, StringComparison.Ordinal);
            Assert.Equal(before, File.ReadAllBytes(head));
        }
        Assert.All(EmbeddedStore.Repair(_store).Run(), r => Assert.True(r.IsMended, r.ToString()));
        Assert.NotEqual(before, File.ReadAllBytes(head));
    }

    [Fact]
    public void A_rebuilt_catalog_still_has_firmware_variables_and_connections()
    {
        using (var engine = EmbeddedStore.Open(_store))
        {
            var catalog = engine.Context.Catalog;
            var vm = catalog.Machines.FindByName("web01")!;
            long snapshot = catalog.Snapshots.FindByName(vm.Id, "a")!.Id;
            engine.Context.Database.Write(() =>
            {
                catalog.Machines.DropFirmware(vm.Id);
                catalog.Machines.SetFirmware(vm.Id, "memory/before");
                catalog.Machines.DropFirmware(vm.Id);
                catalog.Machines.SetFirmware(vm.Id, "memory/present");
                catalog.Machines.SetFirmwareOfSnapshot(snapshot, "memory/of-a");
                catalog.Machines.Connect(vm.Id, new ConnectedMachine("unix:/run/monitor", null, new Dictionary<string, string> { ["drive0"] = "data" }));
            });
            engine.Context.Ledger.Save();
        }
        File.Delete(Catalog);

        EmbeddedStore.Repair(_store).Run();

        using var rebuilt = EmbeddedStore.Open(_store);
        var machines = rebuilt.Context.Catalog.Machines;
        var row = machines.FindByName("web01")!;
        Assert.Equal("memory/present", machines.Firmware(row.Id));
        Assert.Equal("memory/of-a", machines.FirmwareOfSnapshot(rebuilt.Context.Catalog.Snapshots.FindByName(row.Id, "a")!.Id));
        Assert.Equal("unix:/run/monitor", machines.Connected(row.Id)!.Monitor);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_rebuilt_catalog_keeps_what_linked_clones_need_of_a_removed_volume(bool ledger)
    {
        string path;
        using (var engine = EmbeddedStore.Open(_store))
        {
            engine.Machines.Remove("empty", removeVolumes: false, removeSnapshots: false).Run();
            engine.Volumes.Clone(new CloneRequest { Sources = [new CloneSource("spare", null, "clone")], Linked = true }).Run();
            engine.Volumes.Remove("spare", removeSnapshots: true, DependantAction.Defer).Run();
            path = engine.Volumes.Get("clone").Path;
        }
        string before = TestStore.HashFile(path);
        File.Delete(Catalog);
        if (!ledger) File.Delete(Path.Combine(_store, "catalog.ledger"));

        EmbeddedStore.Repair(_store).Run();

        using (var engine = EmbeddedStore.Open(_store))
        {
            Assert.Equal(before, TestStore.HashFile(engine.Volumes.Get("clone").Path));
            if (ledger)
            {
                Assert.DoesNotContain(engine.Volumes.Find(), v => v.Name == "spare");
                engine.Volumes.Remove("clone", false).Run();
                engine.Optimize().Run();
            }
            StoreScenario.AssertClean(engine);
        }
    }

    [Fact]
    public void While_a_store_is_open_its_catalog_is_not_replaced()
    {
        using var other = EmbeddedStore.Open(_store);
        File.Move(Catalog, Catalog + ".moved");

        Assert.Equal(ErrorIds.CatalogBusy, Assert.Throws<SnapshotException>(() => EmbeddedStore.Repair(_store).Run()).ErrorId);
        Assert.Equal(ErrorIds.CatalogDamaged, Assert.Throws<SnapshotException>(() => EmbeddedStore.Initialize(_store).Run()).ErrorId);
    }

    [Fact]
    public void A_file_without_a_row_goes_into_quarantine_and_from_there_when_told()
    {
        File.WriteAllText(Path.Combine(_store, "layers", "stranger.qcow2"), "not an image");
        Mends("FileUnknown");
        Assert.True(File.Exists(Path.Combine(_store, "quarantine", "stranger.qcow2")));
        using var engine = EmbeddedStore.Open(_store);
        engine.EmptyQuarantine().Run();
        Assert.Empty(Directory.GetFiles(Path.Combine(_store, "quarantine")));
    }

    [Fact]
    public void Memory_that_is_gone_is_named_and_its_checkpoint_is_not_restored_over_the_present()
    {
        string memory = Path.Combine(_store, "memory", "saved.memory"), stranger = Path.Combine(_store, "memory", "stranger.memory");
        using var engine = EmbeddedStore.Open(_store);
        StoreScenario.Execute(Catalog, "UPDATE vm_snapshot SET memory = 'memory/saved.memory' WHERE name = 'a'");
        File.WriteAllText(memory, "all that it remembers");
        StoreScenario.AssertClean(engine);
        File.Delete(memory);
        File.WriteAllText(stranger, "nobody's");

        var findings = engine.Test();
        Assert.Equal([("FileUnknown", "memory/stranger.memory"), ("MemoryMissing", "memory/saved.memory")], findings.Select(f => (f.Code, f.Subject)).Order());
        Assert.Contains("snapshot 'a' of VM 'web01'", findings.Single(f => f.Code == "MemoryMissing").Message, StringComparison.Ordinal);
        Assert.Equal(ErrorIds.MemoryMissing, Assert.Throws<SnapshotException>(() => engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "a" })).ErrorId);
        Assert.Equal(ErrorIds.MemoryMissing, Assert.Throws<SnapshotException>(() => engine.Machines.Clone(new VmCloneRequest { Source = "web01", Snapshot = "a", IncludeMemory = true })).ErrorId);
        var repairs = engine.Repair().Run();
        Assert.Equal([("FileUnknown", true), ("MemoryMissing", false)], repairs.Select(r => (r.Code, r.IsMended)).Order());
        Assert.True(File.Exists(Path.Combine(_store, "quarantine", "stranger.memory")));
        engine.EmptyQuarantine().Run();
        Assert.False(File.Exists(Path.Combine(_store, "quarantine", "stranger.memory")));
    }

    [Fact]
    public void A_layer_that_was_moved_is_found_by_its_identity()
    {
        string layer = LayerOf("a"), elsewhere = Directory.CreateDirectory(_scenario.NewDirectory()).FullName;
        File.Move(layer, Path.Combine(elsewhere, "some other name.qcow2"));

        Mends("LayerMissing", elsewhere);
        Assert.Single(Directory.GetFiles(elsewhere));   // which may be a backup
    }

    [Fact]
    public void A_layer_that_is_nowhere_is_named_and_the_rest_is_mended_and_works()
    {
        File.Delete(LayerOf("leaf"));
        File.Delete(Path.Combine(_store, "volumes", "spare.qcow2"));

        var repairs = EmbeddedStore.Repair(_store).Run();

        Assert.Contains(repairs, r => r is { Code: "StablePathWrong", IsMended: true });
        Assert.Contains("leaf", Assert.Single(repairs, r => !r.IsMended && r.Code == "LayerMissing").Message, StringComparison.Ordinal);
        using var engine = EmbeddedStore.Open(_store);
        engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "works" }).Run();
        Assert.NotEmpty(engine.Snapshots.Find(new SnapshotQuery()));
    }

    [Fact]
    public void Wrong_counts_and_leaks_are_mended()
    {
        string head;
        using (var engine = EmbeddedStore.Open(_store)) head = engine.Volumes.Get("os").HeadPath;
        using (var file = SystemFiles.Instance.Open(head, FileOpenMode.ReadWrite)) Leak(file);
        Mends("LayerLeaks");
    }

    [Fact]
    public void A_layer_that_lost_its_identity_and_its_base_gets_them_back()
    {
        string head;
        using (var engine = EmbeddedStore.Open(_store)) head = engine.Volumes.Get("os").HeadPath;
        using (var image = Qcow2Image.Open(SystemFiles.Instance, head, new ImageOpenOptions { Write = true })) image.SetBacking("../layers/nowhere.qcow2", ImageFormat.Qcow2);
        Mends("LayerBaseWrong");
    }

    [Fact]
    public void A_foreign_overlay_is_named_and_left_alone()
    {
        string overlay = Path.Combine(_store, "layers", "web01-os.snap1"), below;
        using (var engine = EmbeddedStore.Open(_store)) below = engine.Volumes.Get("os").HeadPath;
        Qcow2Image.Create(SystemFiles.Instance, overlay, new ImageCreateOptions { VirtualSize = 512 << 10, BackingFile = below, BackingFormat = ImageFormat.Qcow2 }).Dispose();

        var repair = Assert.Single(EmbeddedStore.Repair(_store).Run());

        Assert.Equal(("ForeignOverlay", false), (repair.Code, repair.IsMended));
        Assert.Contains("'os'", repair.Message, StringComparison.Ordinal);
        Assert.True(File.Exists(overlay));
    }

    [Fact]
    public void A_frozen_layer_that_another_process_holds_is_named()
    {
        using var file = SystemFiles.Instance.Open(LayerOf("leaf"), FileOpenMode.Read);
        using var held = ImageLock.Acquire(file, ImageUse.Read);
        using var engine = EmbeddedStore.Open(_store);

        Assert.Equal("LayerInForeignUse", Assert.Single(engine.Test()).Code);
    }

    [Fact]
    public void A_frozen_layer_that_was_written_is_named()
    {
        using (var file = SystemFiles.Instance.Open(LayerOf("a"), FileOpenMode.ReadWrite)) file.Write(file.Length, [1]);
        var repair = Assert.Single(EmbeddedStore.Repair(_store).Run(), r => r.Code == "LayerChanged");
        Assert.False(repair.IsMended);
    }

    public void Dispose() => _scenario.Dispose();

    /// <summary>The last used cluster's count, in the only refcount block, is set for one behind it.</summary>
    private static void Leak(IBlockFile image)
    {
        long cluster = 64 << 10;
        image.SetLength(12 * cluster);
        image.Write((2 * cluster) + (11 * 2), [0, 1]);
    }

    private void Mends(string code, params string[] searchIn)
    {
        string before = Everything();
        using (var engine = EmbeddedStore.Open(_store)) Assert.Contains(engine.Test(), f => f.Code == code);
        var planned = EmbeddedStore.Repair(_store, searchIn);
        Assert.NotEmpty(planned.Plan.Steps);
        using (var engine = EmbeddedStore.Open(_store)) Assert.Contains(engine.Test(), f => f.Code == code);   // a plan changes nothing

        var repairs = planned.Run();

        Assert.Contains(repairs, r => r.Code == code);
        Assert.All(repairs, r => Assert.True(r.IsMended, r.ToString()));
        using (var engine = EmbeddedStore.Open(_store)) StoreScenario.AssertClean(engine);
        Assert.Equal(WithoutBytes(before), WithoutBytes(Everything()));
    }

    private static string WithoutBytes(string everything) => Regex.Replace(everything, "(Allocated|Exclusive|Shared|Size)(Bytes)?\": [0-9]+", "");

    private string LayerOf(string snapshot)
    {
        using var engine = EmbeddedStore.Open(_store);
        return engine.Snapshots.Get("web01", snapshot).Volumes[0].Path;
    }

    private static readonly JsonSerializerOptions Readable = new() { WriteIndented = true };

    private string[] StateOf() => StoreScenario.StateOf(_store).Split('\n');

    private string Everything() => Everything(_store);

    /// <summary>All that the store knows, as JSON, but where it lies.</summary>
    private static string Everything(string store)
    {
        using var engine = EmbeddedStore.Open(store);
        var all = new object[] { engine.Machines.Find(), engine.Snapshots.Find(new SnapshotQuery()), engine.VolumeSnapshots.Find([], []), engine.Volumes.Find() };
        return new StringBuilder(JsonSerializer.Serialize(all, Readable)).Replace(store, "").ToString();
    }

    private void Spoil(string how)
    {
        switch (how)
        {
            case "deleted":
                File.Delete(Catalog);
                break;
            case "overwritten":
                File.WriteAllText(Catalog, new string('x', 8192));
                break;
            case "empty":
                File.WriteAllBytes(Catalog, []);
                break;
            default:
                byte[] content = File.ReadAllBytes(Catalog);
                for (int page = 4096; page < content.Length; page += 4096) content.AsSpan(page, 200).Fill(0x5a);
                File.WriteAllBytes(Catalog, content);
                break;
        }
    }
}
