using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Clones;

namespace SnapshotTools.Core.Engine.Snapshots;

/// <summary>What becomes of layers when volume snapshots are removed.</summary>
internal static class SnapshotLayers
{
    /// <summary>The steps that follow when these volume snapshots go.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.HasDependants"/>: a linked clone lies on one of their layers.</exception>
    public static IEnumerable<PlanStep> DescribeRelease(EngineContext context, Collecting collecting, IReadOnlyList<VolumeSnapshotRow> doomed, DependantAction dependants = DependantAction.Refuse)
    {
        var steps = new List<PlanStep>();
        foreach (var group in doomed.GroupBy(s => s.VolumeId))
        {
            var volume = context.Catalog.Volumes.Get(group.Key);
            if (dependants == DependantAction.Refuse)
            {
                foreach (var snapshot in group)
                    Dependants.RequireNone(context.Catalog.Volumes.LinkedClonesOn(snapshot.LayerId), $"Snapshot '{snapshot.Name}' of volume '{volume.Name}'", snapshot.Name);
            }
            var released = group.GroupBy(s => s.LayerId).Where(g => context.Catalog.Snapshots.CountOnLayer(g.Key) == g.Count()).Select(g => g.Key)
                .Where(id => context.Catalog.Layers.Get(id).State == LayerState.Frozen).ToHashSet();
            steps.AddRange(collecting.Describe(volume.Name, collecting.PlanAfter(volume.Id, released, dependants == DependantAction.Flatten)));
        }
        return steps;
    }

    /// <summary>Collects after snapshots were removed; that they are removed stays true whatever happens here.</summary>
    public static void Collect(EngineContext context, Collecting collecting, IEnumerable<long> volumes, OperationRun run)
    {
        try
        {
            collecting.Run(volumes, run);
        }
        catch (Exception error) when (error is IOException or SnapshotException)
        {
            throw new SnapshotException(ErrorIds.CollectFailed, ErrorKind.Failed,
                $"What was asked for is done and stays so, but the layers that nobody needs any more could not all be merged or deleted: {error.Message} When the cause is gone, run Optimize-SnapshotStore.", context.Store, cause: error);
        }
    }
}
