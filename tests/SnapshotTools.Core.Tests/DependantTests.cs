namespace SnapshotTools.Core.Tests;

/// <summary>What linked clones lie on: it is named, stands in the way, and goes with -Flatten or -Defer without harm to them.</summary>
public sealed class DependantTests : IDisposable
{
    private readonly TestStore _store = new();

    private SnapshotEngine Engine => _store.Engine;

    [Fact]
    public void Dependants_are_named_and_stand_in_the_way()
    {
        _store.NewVm("web01", "os");
        _store.Write("os", 0, 200_000, 1);
        var snapshot = _store.Snapshot("web01", "a");
        Clone(linked: true, new CloneSource("os", snapshot.Volumes[0].Id, "c1"), new CloneSource("os", snapshot.Volumes[0].Id, "c2"));

        Assert.Equal(["c1", "c2"], Engine.Volumes.Get("os").LinkedClones);
        Assert.Equal("os", Engine.Volumes.Get("c1").LinkedTo);
        Assert.Equal(["c1", "c2"], Engine.Snapshots.Get("web01", "a").LinkedClones);
        Assert.Equal(["c1", "c2"], Engine.VolumeSnapshots.Get("os", "a").LinkedClones);
        var error = Assert.Throws<SnapshotException>(() => Engine.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web01", Snapshot = "a" }));
        Assert.Equal(ErrorIds.HasDependants, error.ErrorId);
        Assert.Contains("'c1', 'c2'", error.Message, StringComparison.Ordinal);
        Assert.Contains("-Flatten", error.Message, StringComparison.Ordinal);
        Assert.Contains("-Defer", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Of_many_dependants_the_first_are_named_and_the_others_counted()
    {
        _store.NewVolume("os");
        Clone(linked: true, [.. Enumerable.Range(10, 12).Select(i => new CloneSource("os", null, $"c{i}"))]);

        var refused = Assert.Throws<SnapshotException>(() => Engine.Volumes.Remove("os", false));

        Assert.Contains("'c18', 'c19' and 2 more and cannot be removed", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(PlanAction.DeleteLayer)]
    [InlineData(PlanAction.MergeUp)]
    public void The_plan_of_a_removal_with_flattening_says_what_becomes_of_the_layer(PlanAction then)
    {
        _store.NewVm("web01", "os");
        _store.Snapshot("web01", "first");
        _store.Write("os", 0, 200_000, 1);
        var snapshot = _store.Snapshot("web01", "a");
        _store.Write("os", 0, 300_000, 2);
        Clone(linked: true, new CloneSource("os", snapshot.Volumes[0].Id, "c1"));
        // On the layer of the removed snapshot nothing lies then but the clone.
        if (then == PlanAction.DeleteLayer) Engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "first" }).Run();
        string clone = _store.Hash("c1");
        int before = Engine.GetStore().LayerCount;

        var removal = Engine.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web01", Snapshot = "a", Dependants = DependantAction.Flatten });

        Assert.True(Assert.Single(removal.Plan.Steps, s => s.Action == then).BytesFreed >= 200_000);
        removal.Run();
        Assert.Equal(before - 1, Engine.GetStore().LayerCount);
        Assert.Equal(clone, _store.Hash("c1"));
        _store.AssertClean();
    }

    [Theory]
    [InlineData(DependantAction.Flatten)]
    [InlineData(DependantAction.Defer)]
    public void A_clone_of_a_clone_that_was_removed_is_what_stands_in_the_way(DependantAction action)
    {
        _store.NewVm("web01", "os");
        _store.Write("os", 0, 200_000, 1);
        var snapshot = _store.Snapshot("web01", "a");
        Clone(linked: true, new CloneSource("os", snapshot.Volumes[0].Id, "c1"));
        _store.Write("c1", 0, 100_000, 2);
        string then = _store.Hash("c1");
        Clone(linked: true, new CloneSource("c1", null, "c2"));
        Engine.Volumes.Remove("c1", false, DependantAction.Defer).Run();
        Assert.Equal(["c2"], Engine.Volumes.Get("os").LinkedClones);
        Assert.Equal(["c2"], Engine.Snapshots.Get("web01", "a").LinkedClones);
        var refused = Assert.Throws<SnapshotException>(() => Engine.Machines.Remove("web01", true, true));
        Assert.Contains("base of 'c2'", refused.Message, StringComparison.Ordinal);
        Engine.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web01", Snapshot = "a", Dependants = action }).Run();
        Engine.Machines.Remove("web01", true, true, action).Run();

        Assert.Equal(then, _store.Hash("c2"));
        Engine.Volumes.Remove("c2", false).Run();
        Engine.Optimize().Run();
        _store.AssertClean(layers: 0);
    }

    [Theory]
    [InlineData(DependantAction.Flatten)]
    [InlineData(DependantAction.Defer)]
    public void A_VM_that_linked_clones_lie_on_is_removed_without_harm_to_them(DependantAction action)
    {
        _store.NewVm("web01", "os", "db");
        _store.Write("os", 0, 200_000, 1);
        _store.Snapshot("web01", "a");
        _store.Write("os", 0, 100_000, 2);
        string[] then = [_store.Hash("os"), _store.Hash("db")];
        Clone(linked: true, new CloneSource("os", null, "c1"), new CloneSource("db", null, "c2"));
        Refused(ErrorIds.HasDependants, () => Engine.Machines.Remove("web01", true, true));
        var removal = Engine.Machines.Remove("web01", true, true, action);
        Assert.Equal(action == DependantAction.Flatten, removal.Plan.Steps.Any(s => s.Action == PlanAction.CopyData));
        int layers = Engine.GetStore().LayerCount, deleted = removal.Plan.Steps.Count(s => s.Action == PlanAction.DeleteLayer);

        removal.Run();

        Assert.Empty(Engine.Machines.Find());
        if (action == DependantAction.Defer) Assert.Equal(layers - deleted, Engine.GetStore().LayerCount);   // the plan told the truth
        Assert.Equal(["c1", "c2"], Engine.Volumes.Find().Select(v => v.Name));
        Assert.Equal(then, new[] { _store.Hash("c1"), _store.Hash("c2") });
        Assert.Equal(action == DependantAction.Flatten, Engine.Volumes.Get("c1").LinkedTo is null);
        foreach (string clone in new[] { "c1", "c2" }) Engine.Volumes.Remove(clone, false).Run();
        Engine.Optimize().Run();
        _store.AssertClean(layers: 0);
    }

    [Fact]
    public void A_deferred_removal_ends_with_the_last_clone()
    {
        _store.NewVm("web01", "os");
        _store.Write("os", 0, 200_000, 1);
        _store.Snapshot("web01", "a");
        _store.Write("os", 0, 100_000, 2);
        string then = _store.Hash("os");
        Clone(linked: true, new CloneSource("os", null, "c1"), new CloneSource("os", null, "c2"));
        Engine.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web01", Snapshot = "a", Dependants = DependantAction.Defer }).Run();
        Engine.Machines.Remove("web01", false, false).Run();

        Engine.Volumes.Remove("os", false, DependantAction.Defer).Run();

        Assert.Empty(Engine.Volumes.Find("os*"));
        Assert.Equal([then, then], new[] { _store.Hash("c1"), _store.Hash("c2") });
        _store.NewVolume("os");   // the name is free
        Engine.Volumes.Remove("os", false).Run();
        Engine.Optimize().Run();
        _store.AssertClean();
        Engine.Volumes.Remove("c1", false).Run();
        Assert.Equal(then, _store.Hash("c2"));
        Engine.Volumes.Remove("c2", false).Run();
        _store.AssertClean(layers: 0);
    }

    [Fact]
    public void Flattening_first_leaves_independent_clones()
    {
        _store.NewVolume("os");
        _store.Write("os", 0, 200_000, 1);
        Clone(linked: true, new CloneSource("os", null, "c1"));
        _store.Write("c1", 100_000, 50_000, 2);
        Engine.VolumeSnapshots.Create("c1", "s", null, false).Run();
        _store.Write("c1", 0, 1000, 3);
        string now = _store.Hash("c1"), then = TestStore.HashFile(Engine.VolumeSnapshots.Get("c1", "s").Path);
        Clone(linked: true, new CloneSource("os", null, "c2"));
        string other = _store.Hash("c2");

        Engine.Volumes.Remove("os", false, DependantAction.Flatten).Run();

        Assert.Equal((now, then, other), (_store.Hash("c1"), TestStore.HashFile(Engine.VolumeSnapshots.Get("c1", "s").Path), _store.Hash("c2")));
        Assert.Null(Engine.Volumes.Get("c1").LinkedTo);
        Engine.Optimize().Run();
        _store.AssertClean(layers: 3);
    }

    [Fact]
    public void What_was_made_while_the_clones_became_independent_is_not_removed_unasked()
    {
        _store.NewVm("web01", "os");
        _store.Write("os", 0, 200_000, 1);
        var snapshot = _store.Snapshot("web01", "a");
        Clone(linked: true, new CloneSource("os", snapshot.Volumes[0].Id, "c1"));
        foreach (var run in new Action<RunOptions>[]
        {
            o => Engine.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web01", Snapshot = "a", IncludeChildren = true, Dependants = DependantAction.Flatten }).Run(o),
            o => Engine.Machines.Remove("web01", true, true, DependantAction.Flatten).Run(o),
        })
        {
            string name = $"made{Engine.Snapshots.Find(new SnapshotQuery()).Count}";
            bool isMade = false;
            var options = new RunOptions
            {
                Log = line =>
                {
                    if (isMade || !line.Contains("owns all of its data", StringComparison.Ordinal)) return;
                    isMade = true;
                    using var other = SnapshotTools.Embedded.EmbeddedStore.Open(_store.Directory);
                    other.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = name }).Run();
                },
            };
            var refused = Assert.Throws<SnapshotException>(() => run(options));

            Assert.Equal(ErrorIds.PlanOutdated, refused.ErrorId);
            Assert.Contains(name, Engine.Snapshots.Find(new SnapshotQuery()).Select(s => s.Name));
            Assert.Null(Engine.Volumes.Get("c1").LinkedTo);
            Engine.Volumes.Remove("c1", false).Run();
            Clone(linked: true, new CloneSource("os", snapshot.Volumes[0].Id, "c1"));
        }
        _store.AssertClean();
    }

    public void Dispose() => _store.Dispose();

    private void Clone(bool linked, params CloneSource[] sources) => Engine.Volumes.Clone(new CloneRequest { Sources = sources, Linked = linked }).Run();

    private static void Refused(string errorId, Func<object> act) => Assert.Equal(errorId, Assert.Throws<SnapshotException>(act).ErrorId);
}
