using System.Globalization;

namespace SnapshotTools.Core.Tests;

/// <summary>Snapshots of VMs: taken, restored, removed, on real files.</summary>
public class VmSnapshotTests
{
    [Fact]
    public void A_restore_brings_back_what_was_and_nothing_else_changes()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os", "db");
        store.Write("os", 0, 200_000, 1);
        store.Write("db", 500_000, 100, 2);
        string os1 = store.Hash("os"), db1 = store.Hash("db");
        var first = store.Snapshot("web01", "first");
        store.Write("os", 100_000, 200_000, 3);
        string os2 = store.Hash("os");
        var second = store.Snapshot("web01", "second");
        store.Write("db", 0, 1000, 4);

        store.Restore("web01", "first");
        Assert.Equal((os1, db1), (store.Hash("os"), store.Hash("db")));
        Assert.Equal(os2, TestStore.HashFile(second.Volumes[0].Path));
        Assert.Equal("first", store.Engine.Machines.Get("web01").CurrentSnapshot);
        store.Restore("web01", "second");
        Assert.Equal((os2, db1), (store.Hash("os"), store.Hash("db")));
        Assert.Equal(first.Id, store.Engine.Snapshots.Get("web01", "second").ParentId);
        store.AssertClean(layers: 6);
    }

    [Fact]
    public void Restores_that_follow_each_other_leave_no_file_and_in_the_end_no_name_of_one()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os", "db");
        store.Snapshot("web01", "first");
        for (int i = 0; i < 4; i++)
        {
            store.Restore("web01", "first");
            Assert.Equal(4, Directory.GetFiles(Path.Combine(store.Directory, "layers")).Length);
        }
        string[] settled = [.. store.Reopen()];
        Assert.Empty(settled);   // closing the store did what the restores had put off
        Assert.Empty(store.Engine.Context.Catalog.Layers.Garbage());
        store.AssertClean(layers: 4);
    }

    [Fact]
    public void The_time_of_a_removed_snapshot_is_written_the_same_in_every_culture()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os");
        store.Snapshot("web01", "a");
        store.Engine.VolumeSnapshots.Create("os", "b", description: null, ensure: false).Run();
        var own = CultureInfo.CurrentCulture;
        var other = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        other.DateTimeFormat.TimeSeparator = ".";
        try
        {
            CultureInfo.CurrentCulture = other;
            var plan = store.Engine.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web01", Snapshot = "a" }).Plan;
            Assert.Matches(@" of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$", plan.Steps[0].Description);
            Assert.Matches(@" taken \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$", plan.Lost[0]);
            Assert.Matches(@" taken \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$", store.Engine.VolumeSnapshots.Remove("os", "b").Plan.Lost[0]);
        }
        finally
        {
            CultureInfo.CurrentCulture = own;
        }
    }

    [Fact]
    public void A_restore_gives_a_new_generation_id_only_when_asked()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os");
        store.Snapshot("web01", "a");
        var id = store.Engine.Machines.Get("web01").GenerationId;
        Assert.NotNull(id);
        store.Restore("web01", "a");
        Assert.Equal(id, store.Engine.Machines.Get("web01").GenerationId);
        store.Engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "a", NewGenerationId = true }).Run();
        Assert.NotEqual(id, store.Engine.Machines.Get("web01").GenerationId);
        Assert.NotNull(store.Engine.Machines.Get("web01").GenerationId);
    }

    [Theory]
    [InlineData("web01")]
    [InlineData("web*")]
    public void A_list_tells_of_each_snapshot_what_is_told_of_it_alone(string vms)
    {
        using var store = new TestStore();
        store.NewVm("web01", "os", "data");
        store.NewVm("web02", "other");
        var ofVolume = store.Engine.VolumeSnapshots.Create("data", "alone", null, false).Run();   // no VM's, and the parent of a part
        var first = store.Snapshot("web01", "a");
        store.Snapshot("web01", "b");
        store.Snapshot("web02", "a");
        store.Restore("web01", "a");
        store.Engine.Volumes.Clone(new CloneRequest { Sources = [new CloneSource("data", first.Volumes[1].Id, "clone")], Linked = true }).Run();

        var listed = store.Engine.Snapshots.Find(new SnapshotQuery { Vms = [vms] }).Where(s => s.VmName == "web01").ToList();

        Assert.Equal(["a", "b"], listed.Select(s => s.Name));
        Assert.Equal(ofVolume.Id, listed[0].Volumes[1].ParentId);
        Assert.Equal(["clone"], listed[0].LinkedClones);
        foreach (var snapshot in listed) Assert.Equivalent(store.Engine.Snapshots.Get("web01", snapshot.Name), snapshot, strict: true);
    }

    [Fact]
    public void What_a_pipeline_lists_is_as_it_was_when_the_list_was_asked_for()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os");
        foreach (string name in new[] { "a", "b", "c" }) store.Snapshot("web01", name);

        var names = new List<string>();
        foreach (var snapshot in store.Engine.Snapshots.Enumerate(new SnapshotQuery()))
        {
            names.Add($"{snapshot.Name} on {snapshot.ParentName}, {(snapshot.IsCurrent ? "current" : "past")}");
            store.Remove("web01", snapshot.Name);   // as Get-VmSnapshot | Remove-VmSnapshot does
        }

        Assert.Equal(["a on , past", "b on a, past", "c on b, current"], names);
        Assert.Empty(store.Engine.Snapshots.Enumerate(new SnapshotQuery()));
    }

    [Fact]
    public void Snapshots_of_a_VM_form_a_tree()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os");
        store.Snapshot("web01", "a");
        store.Snapshot("web01", "b");
        store.Restore("web01", "a");
        var c = store.Snapshot("web01", "c");
        Assert.Equal("a", c.ParentName);
        Assert.Equal(["a", "b", "c"], store.Engine.Snapshots.Find(new SnapshotQuery { Vms = ["web01"] }).Select(s => s.Name));
        Assert.True(store.Engine.Snapshots.Get("web01", "c").IsCurrent);
        store.AssertClean();
    }

    [Fact]
    public void Removing_snapshots_in_any_order_keeps_the_present_and_frees_the_layers()
    {
        string[] names = ["a", "b", "c"];
        foreach (var order in new[] { "abc", "acb", "bac", "bca", "cab", "cba" })
        {
            using var store = new TestStore();
            store.NewVm("web01", "os");
            for (int i = 0; i < names.Length; i++)
            {
                store.Write("os", i * 150_000, 200_000, (byte)(i + 1));
                store.Snapshot("web01", names[i]);
            }
            store.Write("os", 700_000, 10, 9);
            string present = store.Hash("os");
            var hashes = store.Engine.Snapshots.Find(new SnapshotQuery()).ToDictionary(s => s.Name, s => TestStore.HashFile(s.Volumes[0].Path));
            foreach (char name in order)
            {
                store.Remove("web01", name.ToString());
                hashes.Remove(name.ToString());
                Assert.Equal(present, store.Hash("os"));
                foreach (var snapshot in store.Engine.Snapshots.Find(new SnapshotQuery())) Assert.Equal(hashes[snapshot.Name], TestStore.HashFile(snapshot.Volumes[0].Path));
                store.AssertClean(layers: 1 + hashes.Count);
            }
            Assert.Equal(1, store.Engine.Volumes.Get("os").ChainLength);
        }
    }

    [Fact]
    public void A_removed_branch_takes_its_descendants_only_when_told_to()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os");
        store.Snapshot("web01", "a");
        store.Write("os", 0, 100, 1);
        store.Snapshot("web01", "b");
        store.Snapshot("web01", "c");
        store.Restore("web01", "a");
        store.Remove("web01", "b", includeChildren: true);
        Assert.Equal(["a"], store.Engine.Snapshots.Find(new SnapshotQuery()).Select(s => s.Name));
        store.AssertClean(layers: 2);
    }

    [Fact]
    public void Forgetting_only_the_VM_snapshot_leaves_its_volume_snapshots()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os", "db");
        store.Snapshot("web01", "a");
        store.Engine.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web01", Snapshot = "a", MetadataOnly = true }).Run();
        Assert.Empty(store.Engine.Snapshots.Find(new SnapshotQuery()));
        Assert.Equal(2, store.Engine.VolumeSnapshots.Find([], []).Count);
        store.Engine.VolumeSnapshots.Remove("os", "a").Run();
        store.Engine.VolumeSnapshots.Remove("db", "a").Run();
        store.AssertClean(layers: 2);
    }

    [Fact]
    public void A_kept_backup_holds_the_state_that_was_replaced()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os");
        store.Snapshot("web01", "a");
        store.Write("os", 0, 1000, 7);
        string before = store.Hash("os");
        store.Restore("web01", "a", keepBackup: true);
        var backup = Assert.Single(store.Engine.Snapshots.Find(new SnapshotQuery()), s => s.IsBackup);
        store.Restore("web01", backup.Id.ToString());
        Assert.Equal(before, store.Hash("os"));
        store.AssertClean();
    }

    [Fact]
    public void A_part_of_the_volumes_can_be_restored()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os", "db");
        string db = store.Hash("db");
        store.Snapshot("web01", "a");
        store.Write("os", 0, 10, 1);
        store.Write("db", 0, 10, 1);
        string os = store.Hash("os");
        store.Engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "a", Volumes = ["db"] }).Run();
        Assert.Equal((os, db), (store.Hash("os"), store.Hash("db")));
        store.AssertClean();
    }

    [Fact]
    public void Scope_chooses_the_volumes()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os", "db", "log");
        VmSnapshot Take(string name, SnapshotScope scope, params string[] volumes) =>
            store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = name, Scope = scope, Volumes = volumes }).Run();
        Assert.Equal(["os"], Take("boot", SnapshotScope.Boot).Volumes.Select(v => v.VolumeName));
        Assert.Equal(["db", "log"], Take("data", SnapshotScope.Data).Volumes.Select(v => v.VolumeName));
        Assert.Equal(["log"], Take("named", SnapshotScope.All, "lo*").Volumes.Select(v => v.VolumeName));
        store.AssertClean();
    }

    [Fact]
    public void A_restore_that_is_cancelled_after_its_commit_is_done_and_leaves_the_rest_for_later()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os");
        store.Snapshot("web01", "a");
        string then = store.Hash("os");
        store.Write("os", 0, 100_000, 1);
        store.Snapshot("web01", "fork");
        store.Write("os", 0, 100_000, 2);
        store.Snapshot("web01", "b");
        store.Restore("web01", "fork");
        store.Remove("web01", "fork");   // its layer is under 'b' and the present, and without the present to be merged
        using var stop = new CancellationTokenSource();
        var warnings = new List<string>();
        void Log(string line)
        {
            if (line.Contains("committed", StringComparison.Ordinal)) stop.Cancel();
        }

        store.Engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "a" }).Run(new RunOptions { Cancellation = stop.Token, Log = Log, Warn = warnings.Add });

        Assert.True(stop.IsCancellationRequested);
        Assert.Contains("Optimize-SnapshotStore", Assert.Single(warnings), StringComparison.Ordinal);
        Assert.Equal(then, store.Hash("os"));
        store.Engine.Optimize().Run();
        store.AssertClean(layers: 3);
    }

    [Fact]
    public void A_volume_is_restored_without_what_the_plan_does_not_name()
    {
        using var store = new TestStore();
        store.NewVolume("data");
        foreach (string name in new[] { "a", "left", "b" })
        {
            store.Write("data", 0, 100_000, 1);
            store.Engine.VolumeSnapshots.Create("data", name, null, ensure: false).Run();
        }
        var catalog = store.Engine.Context.Catalog;
        catalog.Snapshots.DeleteVolumeSnapshot(catalog.Snapshots.FindVolumeSnapshot(store.Engine.VolumeSnapshots.Get("data", "left").Id)!);
        int layers = store.Engine.GetStore().LayerCount;

        var restore = store.Engine.VolumeSnapshots.Restore("data", "b", keepBackup: false);

        Assert.Equal(0, restore.Plan.LayersMerged);
        restore.Run();
        Assert.Equal(layers, store.Engine.GetStore().LayerCount);
        store.Engine.Optimize().Run();
        Assert.Equal(layers - 1, store.Engine.GetStore().LayerCount);
    }

    [Fact]
    public void A_plan_says_what_is_lost_and_changes_nothing()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os");
        store.Write("os", 0, 300_000, 1);
        store.Snapshot("web01", "a");
        store.Write("os", 300_000, 300_000, 2);
        string before = store.Hash("os");
        var restore = store.Engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "a" });
        var remove = store.Engine.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web01", Snapshot = "a" });
        Assert.Contains("present state of volume 'os'", Assert.Single(restore.Plan.Lost), StringComparison.Ordinal);
        Assert.Equal(1, restore.Plan.LayersDeleted);
        Assert.True(restore.Plan.BytesFreed > 300_000);
        Assert.Equal(1, remove.Plan.LayersMerged);
        Assert.InRange(remove.Plan.BytesCopied, 1, 400_000);
        Assert.Equal(before, store.Hash("os"));

        store.Snapshot("web01", "b");
        var error = Assert.Throws<SnapshotException>(() => restore.Run());
        Assert.Equal(ErrorIds.PlanOutdated, error.ErrorId);
        Assert.Equal(before, store.Hash("os"));
        store.AssertClean();
    }

    [Fact]
    public void Renaming_and_changing_touch_the_catalog_only()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os");
        store.Snapshot("web01", "a");
        store.Engine.Snapshots.Rename("web01", "a", "b").Run();
        var changed = store.Engine.Snapshots.Set("web01", "b", new SnapshotChanges { Description = "why", Tags = ["x", "y", "X"] }).Run();
        Assert.Equal(("b", "why"), (changed.Name, changed.Description));
        Assert.Equal(["x", "y"], changed.Tags);
        Assert.Equal("b", Assert.Single(store.Engine.Snapshots.Find(new SnapshotQuery { Tags = ["x"] })).Name);
        Assert.Equal("b", Assert.Single(store.Engine.VolumeSnapshots.Find([], [])).Name);
        Assert.Empty(store.Engine.Snapshots.Find(new SnapshotQuery { Tags = ["z"] }));
        store.AssertClean();
    }
}
