using SnapshotTools.Embedded;
using SnapshotTools.IO;
using SnapshotTools.Testing.Files;

namespace SnapshotTools.Core.Tests;

/// <summary>Stable paths that were left wrong are found, planned and mended, and none is set back by it.</summary>
public sealed class StablePathTests : IDisposable
{
    private readonly TestStore _store = new();

    public StablePathTests() => _store.NewVm("vm", "a", "b");

    private string Folder => Path.Combine(_store.Directory, "volumes");

    [Fact]
    public void What_is_wrong_is_found_and_planned_and_mended()
    {
        File.Delete(PathOf("a"));
        string left = TemporaryLink.NameFor(PathOf("b"));
        File.CreateSymbolicLink(left, "nowhere");

        var findings = _store.Engine.Test(RunOptions.Default);
        Assert.Equal([("StablePathWrong", "a"), ("LinkLeft", "volumes/" + Path.GetFileName(left))], findings.Select(f => (f.Code, f.Subject)));
        var optimize = _store.Engine.Optimize();
        Assert.Equal([(PlanAction.Publish, "a"), (PlanAction.Publish, "volumes/" + Path.GetFileName(left))], optimize.Plan.Steps.Select(s => (s.Action, s.Subject)));
        Assert.False(optimize.Plan.IsDestructive);
        Assert.False(File.Exists(PathOf("a")));

        optimize.Run();

        Assert.Equal(["a.qcow2", "b.qcow2"], Directory.GetFiles(Folder).Select(Path.GetFileName).Order());
        _store.AssertClean();
        Assert.Empty(_store.Engine.Optimize().Plan.Steps);
    }

    [Fact]
    public void A_repair_mends_them_too()
    {
        File.Delete(PathOf("a"));
        File.CreateSymbolicLink(TemporaryLink.NameFor(PathOf("b")), "nowhere");
        _store.Engine.Dispose();

        var repairs = EmbeddedStore.Repair(_store.Directory).Run();

        Assert.Equal(["LinkLeft", "StablePathWrong"], repairs.Where(r => r.IsMended).Select(r => r.Code).Order());
        _store.Reopen();
        _store.AssertClean();
    }

    [Fact]
    public void A_path_is_not_set_back_when_its_volume_changes_between_plan_and_run()
    {
        File.Delete(PathOf("a"));
        File.Delete(PathOf("b"));
        _store.Engine.Machines.Detach("vm", "b").Run();
        bool isBegun = false;

        _store.Engine.Optimize().Run(new RunOptions { Log = _ => Meanwhile() });

        Assert.Equal(["a.qcow2"], Directory.GetFiles(Folder).Select(Path.GetFileName));
        Assert.Single(_store.Engine.Snapshots.Find(new SnapshotQuery()));
        _store.AssertClean();

        void Meanwhile()
        {
            if (isBegun) return;
            isBegun = true;
            using var other = EmbeddedStore.Open(_store.Directory);
            other.Snapshots.Create(new NewSnapshotRequest { Vm = "vm", Name = "meanwhile" }).Run();
            other.Volumes.Remove("b", removeSnapshots: true, DependantAction.Defer).Run();
        }
    }

    /// <param name="isClone">Whether the volume is made as a clone.</param>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_path_of_a_new_volume_is_not_set_back_either(bool isClone)
    {
        string? answer = null;
        var options = new RunOptions { Log = line => { if (line.EndsWith("committed", StringComparison.Ordinal)) answer = TrySnapshot("new"); } };

        if (isClone) _store.Engine.Volumes.Clone(new CloneRequest { Sources = [new CloneSource("a", Name: "new")], Linked = true }).Run(options);
        else _store.Engine.Volumes.Create(new NewVolumeRequest { Name = "new", SizeBytes = 1 << 20 }).Run(options);

        Assert.Equal("SharedVolumeBusy", answer);
        _store.AssertClean();
        Assert.Equal("taken", TrySnapshot("new"));
        _store.AssertClean();
    }

    [Fact]
    public void The_path_of_a_removed_volume_is_not_deleted_when_another_has_its_name_by_then()
    {
        _store.NewVolume("spare");
        Thread? maker = null;
        var files = new FaultyFileSystem(SystemFiles.Instance)
        {
            Before = (call, _) =>
            {
                if (call != FileCall.Delete || maker is not null) return;
                maker = new Thread(() =>
                {
                    using var other = EmbeddedStore.Open(_store.Directory);
                    other.Volumes.Create(new NewVolumeRequest { Name = "spare", SizeBytes = 1 << 20 }).Run();
                });
                maker.Start();
                maker.Join(TimeSpan.FromMilliseconds(500));
            },
        };

        using (var engine = EmbeddedStore.Open(files, _store.Directory)) engine.Volumes.Remove("spare", removeSnapshots: false).Run();

        maker!.Join();
        Assert.Contains("spare.qcow2", Directory.GetFiles(Folder).Select(Path.GetFileName));
        _store.AssertClean();
    }

    public void Dispose() => _store.Dispose();

    /// <summary>What another session is told that takes a snapshot of a volume.</summary>
    private string TrySnapshot(string volume)
    {
        using var other = EmbeddedStore.Open(_store.Directory);
        try
        {
            other.VolumeSnapshots.Create(volume, "meanwhile", null, ensure: false).Run();
            return "taken";
        }
        catch (SnapshotException error)
        {
            return error.ErrorId;
        }
    }

    private string PathOf(string volume) => Path.Combine(Folder, volume + ".qcow2");
}
