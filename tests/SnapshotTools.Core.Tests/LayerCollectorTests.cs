using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine;

namespace SnapshotTools.Core.Tests;

/// <summary>The collector's decisions over whole trees.</summary>
public class LayerCollectorTests
{
    [Fact]
    public void An_unneeded_leaf_goes_with_all_that_only_it_needed()
    {
        var plan = LayerCollector.Plan([Needed(1, null), Spare(2, 1), Spare(3, 2)]);
        Assert.Equal([3, 2], plan.Deletes);
        Assert.Empty(plan.Merges);
    }

    [Fact]
    public void An_unneeded_layer_in_a_chain_is_merged_with_its_child()
    {
        var plan = LayerCollector.Plan([Needed(1, null), Spare(2, 1), Spare(3, 2), Needed(4, 3)]);
        Assert.Empty(plan.Deletes);
        Assert.Equal([(2, 3), (3, 4)], plan.Merges);
    }

    [Fact]
    public void An_unneeded_layer_under_a_fork_stays() =>
        Assert.True(LayerCollector.Plan([Spare(1, null), Needed(2, 1), Needed(3, 1)]).IsEmpty);

    [Fact]
    public void When_one_branch_of_a_fork_goes_the_fork_is_merged()
    {
        var plan = LayerCollector.Plan([Spare(1, null), Needed(2, 1), Spare(3, 1)]);
        Assert.Equal([3], plan.Deletes);
        Assert.Equal([(1, 2)], plan.Merges);
    }

    [Fact]
    public void An_adopted_base_is_never_merged() =>
        Assert.True(LayerCollector.Plan([new CollectorLayer(1, null, false, true), Needed(2, 1)]).IsEmpty);

    /// <summary>Whatever the tree: what is needed stays, every needed layer still has all the layers below it or they were merged into
    /// it, and a second look finds nothing more to do.</summary>
    [Fact]
    public void Every_tree_ends_without_spare_layers_and_loses_nothing()
    {
        for (int seed = 0; seed < 5000; seed++) Assert.True(EndsWell(seed), $"seed {seed}");
    }

    private static bool EndsWell(int seed)
    {
        var random = new Random(seed);
        var layers = new List<CollectorLayer>();
        int size = random.Next(1, 41);
        for (int i = 1; i <= size; i++)
            layers.Add(new CollectorLayer(i, i == 1 || random.Next(8) == 0 ? null : random.Next(1, i), random.Next(2) == 0, random.Next(10) == 0));
        var plan = LayerCollector.Plan(layers);

        var after = layers.ToDictionary(l => l.Id);
        foreach (long id in plan.Deletes)
        {
            if (after[id].IsNeeded || after.Values.Any(l => l.ParentId == id)) return false;
            after.Remove(id);
        }
        foreach (var (layer, child) in plan.Merges)
        {
            if (after[layer].IsNeeded || after[layer].IsExternal || after.Values.Count(l => l.ParentId == layer) != 1 || after[child].ParentId != layer) return false;
            after[child] = after[child] with { ParentId = after[layer].ParentId };
            after.Remove(layer);
        }
        return layers.Where(l => l.IsNeeded).All(l => after.ContainsKey(l.Id))
            && after.Values.All(l => l.ParentId is null || after.ContainsKey(l.ParentId.Value))
            && LayerCollector.Plan(after.Values).IsEmpty;
    }

    private static CollectorLayer Needed(long id, long? parent) => new(id, parent, true, false);

    private static CollectorLayer Spare(long id, long? parent) => new(id, parent, false, false);
}
