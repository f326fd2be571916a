using SnapshotTools.Embedded;
using SnapshotTools.IO;

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

    public void Dispose() => _store.Dispose();

    private string PathOf(string volume) => Path.Combine(Folder, volume + ".qcow2");
}
