using SnapshotTools.Core.Engine.Power;
using SnapshotTools.Embedded;
using SnapshotTools.IO;
using SnapshotTools.Qcow2;

namespace SnapshotTools.Core.Tests;

/// <summary>Each rule by its error id, and that nothing was changed.</summary>
public class RuleTests
{
    private static void Fails(string errorId, Action act) => Assert.Equal(errorId, Assert.Throws<SnapshotException>(act).ErrorId);

    [Fact]
    public void Names_are_unique_and_what_is_not_there_is_not_found()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os");
        store.Snapshot("web01", "a");
        Fails(ErrorIds.NameExists, () => store.Snapshot("web01", "A"));
        Fails(ErrorIds.NameExists, () => store.NewVolume("OS"));
        Fails(ErrorIds.NameExists, () => store.NewVm("WEB01"));
        Fails(ErrorIds.VmNotFound, () => store.Snapshot("web02", "a"));
        Fails(ErrorIds.SnapshotNotFound, () => store.Restore("web01", "b"));
        Fails(ErrorIds.VolumeNotFound, () => store.Engine.Volumes.Get("none"));
        Fails(ErrorIds.InvalidName, () => store.Snapshot("web01", "a/b"));
        Assert.Equal("a", store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "a", Ensure = true }).Run().Name);
        Assert.Single(store.Engine.Snapshots.Find(new SnapshotQuery()));
        store.AssertClean(layers: 2);
    }

    [Fact]
    public void A_pattern_must_mean_one_and_an_id_always_works()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os");
        var a1 = store.Snapshot("web01", "a1");
        store.Snapshot("web01", "a2");
        var error = Assert.Throws<SnapshotException>(() => store.Restore("web01", "a*"));
        Assert.Equal(ErrorIds.AmbiguousName, error.ErrorId);
        Assert.Contains("a1", error.Message, StringComparison.Ordinal);
        Assert.Contains("a2", error.Message, StringComparison.Ordinal);
        store.Restore("web01", "*1");
        store.Restore("web01", a1.Id.ToString());
    }

    [Fact]
    public void A_machine_that_could_never_start_is_not_made()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os");
        var machine = new NewVmRequest { Name = "web02" };
        var adapter = new VmNetworkAdapter("");
        foreach (var request in new[]
        {
            machine with { ProcessorCount = 256 }, machine with { MemoryBytes = (1L << 30) + 4096 },
            machine with { NetworkAdapters = [adapter with { Network = "bridge0" }] }, machine with { NetworkAdapters = [.. Enumerable.Repeat(adapter, 9)] },
        })
        {
            Fails(ErrorIds.InvalidArgument, () => store.Engine.Machines.Create(request));
            if (request.NetworkAdapters.Count == 0) continue;
            Fails(ErrorIds.InvalidArgument, () => store.Engine.Machines.Set("web01", new VmChanges { NetworkAdapters = request.NetworkAdapters }));
        }
        Fails(ErrorIds.InvalidArgument, () => store.Engine.Machines.Set("web01", new VmChanges { ProcessorCount = 256 }));
        Fails(ErrorIds.InvalidArgument, () => store.Engine.Machines.Clone(new VmCloneRequest { Source = "web01", MemoryBytes = (1L << 30) + 1 }));
        Assert.Equal(255, store.Engine.Machines.Create(machine with { ProcessorCount = 255, MemoryBytes = 3 << 20, NetworkAdapters = [adapter, adapter with { Network = "none" }] }).Run().ProcessorCount);
    }

    [Fact]
    public void A_bus_has_so_many_places_and_a_detached_volume_leaves_one()
    {
        using var store = new TestStore();
        string[] volumes = [.. Enumerable.Range(0, 8).Select(i => $"v{i}")];
        foreach (string volume in volumes) store.NewVolume(volume);
        NewVmRequest Request(int count) => new() { Name = "web01", Volumes = [.. volumes[..count].Select(v => new AttachRequest(v) { Bus = DiskBus.Sata })] };
        Fails(ErrorIds.InvalidArgument, () => store.Engine.Machines.Create(Request(7)));
        store.Engine.Machines.Create(Request(6)).Run();
        Fails(ErrorIds.InvalidArgument, () => store.Engine.Machines.Attach("web01", new AttachRequest("v6") { Bus = DiskBus.Sata }));
        store.Engine.Machines.Attach("web01", new AttachRequest("v6") { Bus = DiskBus.Scsi }).Run();
        store.Engine.Machines.Detach("web01", "v2").Run();
        Assert.Equal(["v0", "v1", "v7", "v3", "v4", "v5", "v6"], store.Engine.Machines.Attach("web01", new AttachRequest("v7") { Bus = DiskBus.Sata }).Run().Volumes.Select(v => v.Volume));
    }

    [Fact]
    public void A_checkpoint_has_all_volumes_that_its_memory_belongs_to()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os", "data");
        NewSnapshotRequest Checkpoint(params string[] volumes) => new() { Vm = "web01", Name = "cp", Memory = true, Volumes = volumes };
        var refused = Assert.Throws<SnapshotException>(() => store.Engine.Snapshots.Create(Checkpoint() with { Scope = SnapshotScope.Boot }));
        Assert.Equal(ErrorIds.InvalidArgument, refused.ErrorId);
        Assert.Contains("'data' would not be", refused.Message, StringComparison.Ordinal);
        Fails(ErrorIds.InvalidArgument, () => store.Engine.Snapshots.Create(Checkpoint("data")));
        Fails(ErrorIds.MemoryNotAvailable, () => store.Engine.Snapshots.Create(Checkpoint("os", "data")));   // it is not running
        Fails(ErrorIds.MemoryNotAvailable, () => store.Engine.Snapshots.Create(Checkpoint()));
    }

    [Theory]
    [InlineData(SnapshotScope.All)]
    [InlineData(SnapshotScope.Boot)]
    public void The_memory_of_a_checkpoint_is_used_with_all_disks_of_then_only(SnapshotScope scope)
    {
        using var store = new TestStore();
        store.NewVm("web01", "os", "data");
        store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "cp", Scope = scope }).Run();
        store.NewVolume("later");
        store.Engine.Machines.Attach("web01", new AttachRequest("later")).Run();
        var context = store.Engine.Context;
        File.WriteAllText(Path.Combine(store.Directory, "memory", "of-then"), "all that its guest had in mind");
        context.Database.Execute("UPDATE vm_snapshot SET memory = 'memory/of-then'");
        bool isWhole = scope == SnapshotScope.All;

        // An earlier version took checkpoints of some of the volumes.
        var clone = new VmCloneRequest { Source = "web01", Snapshot = "cp", IncludeMemory = true, Linked = true };
        if (isWhole) Assert.Equal(VmState.Suspended, Assert.Single(store.Engine.Machines.Clone(clone).Run().Vms).State);
        else Fails(ErrorIds.MemoryNotAvailable, () => store.Engine.Machines.Clone(clone));
        var warnings = new List<string>();
        var restore = store.Engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "cp" });
        Assert.Equal(isWhole ? VmState.Suspended : VmState.Stopped, restore.Run(new RunOptions { Warn = warnings.Add }).State);
        Assert.Equal(isWhole, warnings.Count == 0);
        Assert.Equal(!isWhole, restore.Plan.Summary.Contains("'data'", StringComparison.Ordinal));

        // And so may a VM be suspended.
        context.Catalog.Machines.SetMemory(context.ResolveVm("web01").Id, "memory/of-then");
        if (isWhole) SuspendedDisks.RequireUntouched(context, context.ResolveVm("web01"));
        else Fails(ErrorIds.MemoryOutdated, () => SuspendedDisks.RequireUntouched(context, context.ResolveVm("web01")));
    }

    [Fact]
    public void What_belongs_to_the_memory_of_a_suspended_VM_stays_as_it_is()
    {
        using var store = new TestStore();
        var vm = store.NewVm("web01", "os", "data");
        store.NewVolume("spare");
        store.Engine.VolumeSnapshots.Create("data", "kept", null, ensure: false).Run();
        string image = store.File("image.raw");
        File.WriteAllBytes(image, new byte[1 << 20]);
        var machines = store.Engine.Context.Catalog.Machines;
        File.WriteAllText(Path.Combine(store.Directory, "memory", "of-then"), "all that its guest had in mind");
        machines.SetMemory(machines.FindById(vm.Id)!.Id, "memory/of-then");
        Assert.Equal(VmState.Suspended, store.Engine.Machines.Get("web01").State);

        Fails(ErrorIds.VmNotStopped, () => store.Engine.Machines.Attach("web01", new AttachRequest("spare")));
        Fails(ErrorIds.VmNotStopped, () => store.Engine.Machines.Detach("web01", "data"));
        Fails(ErrorIds.VmNotStopped, () => store.Engine.Machines.Set("web01", new VmChanges { ProcessorCount = 2 }));
        Fails(ErrorIds.VmNotStopped, () => store.Engine.Volumes.Resize("os", 2 << 20, allowShrink: false));
        Fails(ErrorIds.VmNotStopped, () => store.Engine.Volumes.Resize("os", 512 << 10, allowShrink: true));
        Fails(ErrorIds.VolumeInUse, () => store.Engine.Volumes.Overwrite("data", new ImageSource(image, ImageFileFormat.Raw, [])));
        Fails(ErrorIds.VolumeInUse, () => store.Engine.VolumeSnapshots.Restore("data", "kept", keepBackup: false));

        store.Snapshot("web01", "of the disks");   // which changes nothing of what they hold
        Assert.Equal(VmState.Suspended, store.Engine.Machines.Get("web01").State);
        store.AssertClean();
    }

    [Fact]
    public void A_volume_in_a_snapshot_stays_attached_and_keeps_its_size()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os");
        store.Snapshot("web01", "before-upgrade");
        var error = Assert.Throws<SnapshotException>(() => store.Engine.Machines.Detach("web01", "os"));
        Assert.Equal(ErrorIds.VolumeInSnapshot, error.ErrorId);
        Assert.Contains("Remove-VmSnapshot web01 before-upgrade", error.Message, StringComparison.Ordinal);
        Fails(ErrorIds.VolumeHasSnapshots, () => store.Engine.Volumes.Resize("os", 2 << 20, false));
        Fails(ErrorIds.VolumeAttached, () => store.Engine.Volumes.Remove("os", true));
        Fails(ErrorIds.PartOfVmSnapshot, () => store.Engine.VolumeSnapshots.Remove("os", "before-upgrade"));
        Fails(ErrorIds.VmHasSnapshots, () => store.Engine.Machines.Remove("web01", true, false));
    }

    [Fact]
    public void A_volume_has_one_VM_unless_all_share_it()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os");
        Fails(ErrorIds.VolumeAttached, () => store.Engine.Machines.Create(new NewVmRequest { Name = "web02", Volumes = [new AttachRequest("os")] }));
        store.NewVolume("shared");
        store.Engine.Machines.Attach("web01", new AttachRequest("shared", Shared: true)).Run();
        store.Engine.Machines.Create(new NewVmRequest { Name = "web02", Volumes = [new AttachRequest("shared", Shared: true)] }).Run();
        Assert.Equal(["web01", "web02"], store.Engine.Volumes.Get("shared").AttachedTo);
    }

    [Fact]
    public void A_snapshot_restores_onto_its_own_volume_only()
    {
        using var store = new TestStore();
        store.NewVolume("a");
        store.NewVolume("b");
        var snapshot = store.Engine.VolumeSnapshots.Create("a", "s", null, false).Run();
        Fails(ErrorIds.NotOriginalVolume, () => store.Engine.VolumeSnapshots.Restore("b", snapshot.Id.ToString(), false));
    }

    [Fact]
    public void An_image_that_somebody_has_open_is_left_alone()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os");
        using (Qcow2Image.Open(SystemFiles.Instance, store.Engine.Volumes.Get("os").Path, new ImageOpenOptions { Write = true, FollowLinks = true }))
            Fails(ErrorIds.ImageInUse, () => store.Snapshot("web01", "a"));
        store.Snapshot("web01", "a");
        using (Qcow2Image.Open(SystemFiles.Instance, store.Engine.Volumes.Get("os").HeadPath, new ImageOpenOptions { Write = true }))
        {
            Fails(ErrorIds.ImageInUse, () => store.Restore("web01", "a"));
            Assert.Equal(VmState.Stopped, store.Engine.Machines.Get("web01").State);
        }
        store.AssertClean();
    }

    [Fact]
    public void A_base_of_a_linked_volume_is_not_removed()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os");
        store.Write("os", 0, 100, 5);
        var snapshot = store.Snapshot("web01", "golden");
        store.Engine.Volumes.Create(new NewVolumeRequest { Name = "clone", FromVolumeSnapshot = snapshot.Volumes[0].Id }).Run();
        Assert.Equal(store.Hash("os"), store.Hash("clone"));
        Fails(ErrorIds.HasDependants, () => store.Remove("web01", "golden"));
        Fails(ErrorIds.HasDependants, () => store.Engine.Machines.Remove("web01", true, true));
        store.Engine.Volumes.Remove("clone", false).Run();
        store.Remove("web01", "golden");
        store.AssertClean(layers: 1);
    }

    [Fact]
    public void Two_operations_on_one_VM_do_not_run_at_once()
    {
        using var store = new TestStore();
        store.NewVm("web01", "os");
        using var other = EmbeddedStore.Open(store.Directory);
        Exception? seen = null;
        var inside = new RunOptions
        {
            Log = line =>
            {
                if (line.Contains("durable", StringComparison.Ordinal))
                    seen = Record.Exception(() => other.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "b" }).Run());
            },
        };
        store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "a" }).Run(inside);
        Assert.Equal(ErrorIds.VmBusy, Assert.IsType<SnapshotException>(seen).ErrorId);
        other.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "b" }).Run();
        store.AssertClean();
    }

    [Fact]
    public void What_is_not_a_store_is_not_touched()
    {
        using var store = new TestStore();
        System.IO.Directory.CreateDirectory(store.File("other"));
        System.IO.File.WriteAllText(store.File("other/thesis.txt"), "x");
        Fails(ErrorIds.NotAStore, () => EmbeddedStore.Initialize(store.File("other")));
        Fails(ErrorIds.StoreNotFound, () => EmbeddedStore.Open(store.File("other")));
        Assert.Single(System.IO.Directory.GetFileSystemEntries(store.File("other")));
        Assert.Equal(store.Engine.GetStore().Id, EmbeddedStore.Initialize(store.Directory).Run().Id);
    }
}
