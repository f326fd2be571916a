using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine;

/// <summary>
/// Decides which layers of a volume go: a pure function over the tree. A layer that nothing needs is deleted when nothing
/// lies on it, and merged with its child when exactly one layer does; under a fork it stays, since both sides read it.
/// </summary>
internal static class LayerCollector
{
    public static CollectPlan Plan(IEnumerable<CollectorLayer> layers)
    {
        var all = layers.ToDictionary(l => l.Id);
        var children = all.Values.Where(l => l.ParentId is not null).GroupBy(l => l.ParentId!.Value).ToDictionary(g => g.Key, g => g.Select(l => l.Id).ToList());
        int CountChildren(long id) => children.TryGetValue(id, out var list) ? list.Count : 0;

        var deletes = new List<long>();
        var leaves = new Queue<CollectorLayer>(all.Values.Where(l => !l.IsNeeded && CountChildren(l.Id) == 0));
        while (leaves.TryDequeue(out var leaf))
        {
            deletes.Add(leaf.Id);
            all.Remove(leaf.Id);
            if (leaf.ParentId is not { } parentId || !all.TryGetValue(parentId, out var parent)) continue;
            children[parentId].Remove(leaf.Id);
            if (!parent.IsNeeded && CountChildren(parentId) == 0) leaves.Enqueue(parent);
        }

        // From the base up: a merge keeps the child, so the next pair is still there as it was planned.
        var merges = all.Values.Where(l => !l.IsNeeded && !l.IsExternal && CountChildren(l.Id) == 1)
            .OrderBy(l => Depth(l, all)).Select(l => (l.Id, children[l.Id][0])).ToList();
        return new CollectPlan(deletes, merges);
    }

    private static int Depth(CollectorLayer layer, Dictionary<long, CollectorLayer> all)
    {
        int depth = 0;
        for (var l = layer; l.ParentId is { } parent && all.TryGetValue(parent, out var below) && depth <= all.Count; l = below) depth++;
        return depth;
    }
}

/// <summary>What the collector decided.</summary>
/// <param name="Deletes">Layers to delete, from the leaves inwards.</param>
/// <param name="Merges">Layers to merge away with the child that each is merged with, in this order.</param>
internal sealed record CollectPlan(IReadOnlyList<long> Deletes, IReadOnlyList<(long Layer, long Child)> Merges)
{
    public bool IsEmpty => Deletes.Count == 0 && Merges.Count == 0;
}
