using SnapshotTools.Embedded;
using SnapshotTools.IO;
using SnapshotTools.Testing.Files;

namespace SnapshotTools.Core.Tests;

/// <summary>Clones of volumes: usable at once, of one instant, filled behind, and independent in the end.</summary>
public sealed class CloneTests : IDisposable
{
    private readonly TestStore _store = new();

    private SnapshotEngine Engine => _store.Engine;

    [Fact]
    public void A_linked_clone_reads_as_its_source_and_each_goes_its_own_way()
    {
        _store.NewVolume("data");
        _store.Write("data", 0, 300_000, 1);
        string then = _store.Hash("data");

        var clone = Assert.Single(Clone(linked: true, new CloneSource("data")).Volumes);

        Assert.Equal("data-copy", clone.Name);
        Assert.Equal(then, _store.Hash("data-copy"));
        _store.Write("data", 0, 10, 2);
        _store.Write("data-copy", 100_000, 10, 3);
        Assert.NotEqual(then, _store.Hash("data"));
        Assert.NotEqual(_store.Hash("data"), _store.Hash("data-copy"));
        Assert.DoesNotContain(Engine.Operations.Find(), o => o.Kind == OperationKind.Copy);
        _store.AssertClean();
    }

    [Fact]
    public void A_clone_is_usable_before_its_data_is_copied_and_independent_afterwards()
    {
        _store.NewVolume("data");
        _store.Write("data", 0, 300_000, 1);
        string then = _store.Hash("data");

        var made = Clone(linked: false, new CloneSource("data"));
        var copy = Assert.Single(made.Copies);
        Assert.Equal(OperationState.Pending, copy.State);
        Assert.Equal(then, _store.Hash("data-copy"));
        _store.Write("data-copy", 500_000, 1000, 7);   // before the copy runs: the copy must not lose it
        string used = _store.Hash("data-copy");

        var ended = Assert.Single(Engine.Operations.Run([copy.Id]));

        Assert.Equal(OperationState.Completed, ended.State);
        Assert.Equal(100, ended.PercentComplete);
        Assert.Equal(used, _store.Hash("data-copy"));
        Assert.Equal(then, _store.Hash("data"));
        Assert.Equal(1, Engine.Volumes.Get("data").ChainLength);
        Assert.Equal(1, Engine.Volumes.Get("data-copy").ChainLength);
        _store.AssertClean(layers: 2);
        Engine.Volumes.Remove("data", false).Run();
        Assert.Equal(used, _store.Hash("data-copy"));
    }

    [Fact]
    public void Volume_snapshots_and_VM_snapshots_are_cloned_as_they_were()
    {
        _store.NewVm("web01", "os", "db");
        _store.Write("os", 0, 100_000, 1);
        _store.Write("db", 0, 100_000, 2);
        var snapshot = _store.Snapshot("web01", "a");
        string[] then = [_store.Hash("os"), _store.Hash("db")];
        _store.Write("os", 0, 100_000, 3);

        var made = Clone(linked: false, [.. snapshot.Volumes.Select(v => new CloneSource(v.VolumeName, v.Id, "*-of-a"))]);
        Engine.Operations.Run([.. made.Copies.Select(c => c.Id)]);

        Assert.Equal(["os-of-a", "db-of-a"], made.Volumes.Select(v => v.Name));
        Assert.Equal(then, made.Volumes.Select(v => _store.Hash(v.Name)));
        _store.Remove("web01", "a");
        Assert.Equal(then, made.Volumes.Select(v => _store.Hash(v.Name)));
        _store.AssertClean();
    }

    [Fact]
    public void Many_clones_of_an_unchanged_volume_do_not_lengthen_its_chain()
    {
        _store.NewVolume("golden");
        _store.Write("golden", 0, 100_000, 1);
        for (int i = 0; i < 5; i++) Clone(linked: true, new CloneSource("golden", null, $"c{i}"));
        Assert.Equal(2, Engine.Volumes.Get("golden").ChainLength);
        Assert.Equal(2, Engine.Volumes.Get("c4").ChainLength);
        _store.AssertClean(layers: 7);
    }

    [Fact]
    public void A_clone_can_itself_be_cloned_and_snapshotted_while_it_is_copied()
    {
        _store.NewVolume("data");
        _store.Write("data", 0, 300_000, 1);
        var first = Clone(linked: false, new CloneSource("data", null, "first"));
        _store.Write("first", 0, 1000, 2);
        Engine.VolumeSnapshots.Create("first", "s", null, false).Run();
        var second = Clone(linked: false, new CloneSource("first", null, "second"));
        string then = _store.Hash("first");

        Engine.Operations.Run([second.Copies[0].Id, first.Copies[0].Id]);

        Assert.Equal(then, _store.Hash("first"));
        Assert.Equal(then, _store.Hash("second"));
        Engine.Volumes.Remove("data", false).Run();
        Engine.VolumeSnapshots.Remove("first", "s").Run();
        Assert.Equal(then, _store.Hash("first"));
        Assert.Equal(then, _store.Hash("second"));
        _store.AssertClean();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_stopped_copy_leaves_a_linked_clone_or_nothing(bool discard)
    {
        _store.NewVolume("data");
        _store.Write("data", 0, 300_000, 1);
        string then = _store.Hash("data");
        var made = Clone(linked: false, new CloneSource("data"));

        Assert.Equal(OperationState.Cancelled, Engine.Operations.Stop(made.Copies[0].Id, discard).Run().State);

        Assert.Equal(then, _store.Hash("data"));
        if (discard) Assert.Empty(Engine.Volumes.Find("data-copy"));
        else Assert.Equal(then, _store.Hash("data-copy"));
        _store.AssertClean(layers: discard ? 1 : 3);
    }

    [Fact]
    public void A_copy_that_failed_when_it_was_in_place_and_is_stopped_is_a_clone_of_its_own()
    {
        _store.NewVolume("data");
        _store.Write("data", 0, 300_000, 1);
        string then = _store.Hash("data");
        var files = new FaultyFileSystem(SystemFiles.Instance);
        using var engine = EmbeddedStore.Open(files, _store.Directory);
        var copy = Assert.Single(engine.Volumes.Clone(new CloneRequest { Sources = [new CloneSource("data")] }).Run().Copies);
        bool isInPlace = false;
        files.Before = (call, _) =>
        {
            if (isInPlace && call == FileCall.SyncDirectory) throw new IOException("The disk fails, as it is to.");
            isInPlace |= call == FileCall.Rename;
        };
        Assert.Equal(ErrorIds.StoreIoFailed, Assert.Throws<SnapshotException>(() => engine.Operations.Run([copy.Id])).ErrorId);
        files.Before = null;
        Assert.True(isInPlace);
        Assert.DoesNotContain(engine.Test(), f => f.Severity != FindingSeverity.Information);

        Assert.Equal(OperationState.Cancelled, engine.Operations.Stop(copy.Id, false).Run().State);

        Assert.Equal(then, _store.Hash("data-copy"));
        Engine.Volumes.Remove("data", true).Run();   // which nothing lies on any more
        Engine.Optimize().Run();
        _store.AssertClean();
        Assert.Equal(then, _store.Hash("data-copy"));
    }

    [Fact]
    public void A_copy_rests_and_goes_on_where_it_was()
    {
        _store.NewVolume("data", 64 << 20);
        WriteRandom("data", 48 << 20);
        string then = _store.Hash("data");
        var made = Clone(new CloneRequest { Sources = [new CloneSource("data")], Pace = new CopyPace(MaxBytesPerSecond: 8 << 20) });
        Guid id = made.Copies[0].Id;

        var paused = InBackground(e => e.Operations.Run([id])[0], () =>
        {
            TestStore.Until(() => Engine.Operations.Get(id).BytesDone > 8 << 20);
            Assert.Equal(OperationState.Running, Engine.Operations.Get(id).State);
            Refused(ErrorIds.OperationState, () => Engine.Operations.Run([id], new RunOptions { Cancellation = new CancellationToken(true) }), orCancelled: true);
            Refused(ErrorIds.CloneInProgress, () => Engine.Volumes.Resize("data-copy", 128 << 20, false));
            Refused(ErrorIds.CloneInProgress, () => Engine.Volumes.Resize("data", 128 << 20, false));
            Refused(ErrorIds.CloneInProgress, () => Engine.Volumes.Remove("data-copy", false));
            return Engine.Operations.Suspend(id).Run();
        });
        Assert.Equal(OperationState.Paused, paused.State);
        long durable = paused.BytesDone;
        Assert.InRange(durable, 4 << 20, 47 << 20);
        Assert.Equal(then, _store.Hash("data-copy"));

        Engine.Operations.Resume(id).Run();
        long first = -1;
        var ended = Engine.Operations.Run([id], new RunOptions { Progress = new Direct(p => first = first < 0 ? p.BytesDone : first) })[0];

        Assert.Equal(OperationState.Completed, ended.State);
        Assert.True(first > 4 << 20, $"it began again at {first}");
        Assert.Equal(then, _store.Hash("data-copy"));
        _store.AssertClean(layers: 2);
    }

    [Fact]
    public void A_source_restored_and_removed_after_the_copy_does_not_matter_to_the_clone()
    {
        _store.NewVm("web01", "os");
        _store.Write("os", 0, 100_000, 1);
        _store.Snapshot("web01", "a");
        _store.Write("os", 0, 100_000, 2);
        string then = _store.Hash("os");
        var made = Clone(linked: false, new CloneSource("os"));
        Refused(ErrorIds.CloneInProgress, () => Engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "a" }));
        Engine.Operations.Run([made.Copies[0].Id]);
        _store.Restore("web01", "a");
        Assert.Equal(then, _store.Hash("os-copy"));
        _store.AssertClean();
    }

    [Theory]
    [InlineData("data", "data", ErrorIds.NameExists)]
    [InlineData("data", "a/b", ErrorIds.InvalidName)]
    [InlineData("nothing", "x", ErrorIds.VolumeNotFound)]
    public void What_cannot_be_cloned_is_refused_with_nothing_made(string source, string name, string errorId)
    {
        _store.NewVolume("data");
        Refused(errorId, () => Engine.Volumes.Clone(new CloneRequest { Sources = [new CloneSource(source, null, name)] }));
        Assert.Single(Engine.Volumes.Find());
        _store.AssertClean(layers: 1);
    }

    [Fact]
    public void A_replica_has_its_own_name_addresses_and_volumes_and_the_rest_of_its_source()
    {
        _store.NewVolume("web01-root");
        _store.NewVolume("pool");
        var source = Engine.Machines.Create(new NewVmRequest
        {
            Name = "web01",
            ProcessorCount = 3,
            MemoryBytes = 1 << 28,
            Volumes = [new AttachRequest("web01-root", Bus: DiskBus.Scsi), new AttachRequest("pool")],
            NetworkAdapters = [new VmNetworkAdapter("", "none", "e1000")],
            Description = "the first",
        }).Run();
        _store.Write("web01-root", 0, 100_000, 1);
        _store.Write("pool", 0, 100_000, 2);
        string[] then = [_store.Hash("web01-root"), _store.Hash("pool")];
        _store.Snapshot("web01", "a");
        _store.Write("pool", 0, 100_000, 3);

        var made = Engine.Machines.Clone(new VmCloneRequest { Source = "web01", Snapshot = "a", Name = "web02", MemoryBytes = 1 << 29 }).Run();
        Engine.Operations.Run([.. made.Clones.Copies.Select(c => c.Id)]);

        var replica = Engine.Machines.Get("web02");
        Assert.Equal(["web02-root", "web02-pool"], replica.Volumes.Select(v => v.Volume));
        Assert.Equal([(DiskBus.Scsi, true), (DiskBus.Virtio, false)], replica.Volumes.Select(v => (v.Bus, v.Boot)));
        Assert.Equal((3, 1L << 29, "the first", 0), (replica.ProcessorCount, replica.MemoryBytes, replica.Description, replica.SnapshotCount));
        Assert.Equal(source.NetworkAdapters[0] with { MacAddress = replica.NetworkAdapters[0].MacAddress }, replica.NetworkAdapters[0]);
        Assert.NotEqual(source.NetworkAdapters[0].MacAddress, replica.NetworkAdapters[0].MacAddress);
        Assert.Equal(then, replica.Volumes.Select(v => _store.Hash(v.Volume)));
        Assert.Equal("web01-copy", Engine.Machines.Clone(new VmCloneRequest { Source = "web01", Linked = true }).Run().Vms[0].Name);
        Engine.Machines.Remove("web01-copy", true, true).Run();
        Engine.Machines.Remove("web01", true, true).Run();
        Assert.Equal(then, replica.Volumes.Select(v => _store.Hash(v.Volume)));
        Refused(ErrorIds.MemoryNotAvailable, () => Engine.Machines.Clone(new VmCloneRequest { Source = "web02", IncludeMemory = true }));
        _store.AssertClean(layers: 2);
    }

    [Fact]
    public void Fifty_VMs_of_one_template_differ_and_the_template_is_untouched()
    {
        _store.NewVm("golden", "golden-root", "golden-data");
        _store.Write("golden-root", 0, 200_000, 1);
        string root = _store.Hash("golden-root");
        var template = Engine.Templates.Create(new VmCloneRequest { Source = "golden", Name = "debian" }).Run();
        Engine.Operations.Run([.. template.Clones.Copies.Select(c => c.Id)]);
        Engine.Machines.Remove("golden", true, false).Run();
        Assert.Empty(Engine.Machines.Find());

        var made = Engine.Templates.Instantiate(new VmCloneRequest { Source = "debian", Name = "web-##", Count = 50, Linked = true }).Run();

        Assert.Equal(50, made.Vms.Count);
        Assert.Equal(("web-01", "web-50"), (made.Vms[0].Name, made.Vms[^1].Name));
        Assert.Equal(["web-07-root", "web-07-data"], made.Vms[6].Volumes.Select(v => v.Volume));
        for (int i = 0; i < 50; i += 10) _store.Write($"web-{i + 1:00}-root", i * 1000, 1000, (byte)(i + 2));
        Assert.Equal(6, Enumerable.Range(0, 50).Select(i => _store.Hash($"web-{i + 1:00}-root")).Distinct().Count());
        Assert.Equal(root, _store.Hash("debian-root"));
        Assert.Equal(root, _store.Hash("web-02-root"));
        Assert.Equal("web-51", Engine.Templates.Instantiate(new VmCloneRequest { Source = "debian", Name = "web-##", Count = 1, Linked = true }).Run().Vms[0].Name);
        Assert.Equal(102, Engine.Templates.Get("debian").LinkedClones.Count);
        Refused(ErrorIds.HasDependants, () => Engine.Templates.Remove("debian"));
        Refused(ErrorIds.IsTemplate, () => Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "debian" }));
        Refused(ErrorIds.IsTemplate, () => Engine.Machines.Remove("debian", true, true));
        Refused(ErrorIds.IsTemplate, () => Engine.VolumeSnapshots.Create("debian-root", "x", null, false));
        Refused(ErrorIds.NameExists, () => Engine.Templates.Create(new VmCloneRequest { Source = "web-01", Name = "debian" }));
        Refused(ErrorIds.TemplateNotFound, () => Engine.Templates.Get("web-01"));
        foreach (var vm in Engine.Machines.Find()) Engine.Machines.Remove(vm.Name, true, true).Run();
        Engine.Templates.Remove("debian").Run();
        _store.AssertClean(layers: 0);
    }

    public void Dispose() => _store.Dispose();

    private CloneResult Clone(bool linked, params CloneSource[] sources) => Clone(new CloneRequest { Sources = sources, Linked = linked });

    private CloneResult Clone(CloneRequest request) => Engine.Volumes.Clone(request).Run();

    private void WriteRandom(string volume, int count)
    {
        string path = _store.File("random.raw");
        byte[] data = new byte[Engine.Volumes.Get(volume).SizeBytes];
        new Random(4).NextBytes(data.AsSpan(0, count));
        File.WriteAllBytes(path, data);
        Engine.Volumes.Overwrite(volume, new ImageSource(path, ImageFileFormat.Raw, [])).Run();
    }

    private T InBackground<T>(Func<SnapshotEngine, T> work, Func<T> meanwhile)
    {
        var task = Task.Run(() =>
        {
            using var other = Embedded.EmbeddedStore.Open(_store.Directory);
            return work(other);
        });
        var result = meanwhile();
        Assert.True(task.Wait(TimeSpan.FromSeconds(60)));
        return result;
    }

    private static void Refused(string errorId, Func<object> act, bool orCancelled = false)
    {
        var error = Record.Exception(act);
        if (orCancelled && error is OperationCanceledException) return;
        Assert.Equal(errorId, Assert.IsType<SnapshotException>(error).ErrorId);
    }

    private sealed class Direct(Action<OperationProgress> report) : IProgress<OperationProgress>
    {
        public void Report(OperationProgress value) => report(value);
    }
}
