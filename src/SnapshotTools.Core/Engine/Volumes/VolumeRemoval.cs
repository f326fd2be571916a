using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Clones;

namespace SnapshotTools.Core.Engine.Volumes;

/// <summary>Removal of whole volumes, by itself and together with a VM.</summary>
internal static class VolumeRemoval
{
    /// <summary>What is deleted and lost.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.HasDependants"/> or <see cref="ErrorIds.VolumeHasSnapshots"/>.</exception>
    public static OperationPlan Plan(EngineContext context, IReadOnlyList<VolumeRow> volumes, string summary, bool removeSnapshots, bool isDiscarded = false, DependantAction dependants = DependantAction.Refuse)
    {
        var steps = new List<PlanStep>();
        var lost = new List<string>();
        foreach (var volume in volumes)
        {
            if (!isDiscarded) CopyRules.RequireNoCopy(context, volume, "removed");
            if (dependants == DependantAction.Refuse) Dependants.RequireNone(context.Catalog.Volumes.LinkedClonesOf(volume.Id), $"Volume '{volume.Name}'", volume.Name);
            var snapshots = context.Catalog.Snapshots.OfVolume(volume.Id);
            if (snapshots.Count > 0 && !removeSnapshots)
                throw new SnapshotException(ErrorIds.VolumeHasSnapshots, ErrorKind.Conflict,
                    $"Volume '{volume.Name}' has {snapshots.Count} snapshots, such as '{snapshots[0].Name}', that would be lost with it. Use -IncludeSnapshots if they may go.", volume.Name);
            steps.AddRange(DescribeLayers(context, volume, keepsBases: dependants == DependantAction.Defer));
            lost.Add($"volume '{volume.Name}' ({ByteSize.Format(volume.Size)}){(snapshots.Count > 0 ? $" and its {snapshots.Count} snapshots" : "")}");
        }
        return new OperationPlan { Kind = OperationKind.Remove, Target = "", Summary = summary, Steps = steps, Lost = lost };
    }

    private static IEnumerable<PlanStep> DescribeLayers(EngineContext context, VolumeRow volume, bool keepsBases)
    {
        var layers = context.Catalog.Layers.OfVolume(volume.Id);
        var all = layers.Select(l => l.Id).ToHashSet();
        // What clones lie on is taken out of sight only.
        var gone = keepsBases ? new Collecting(context).PlanAfter(volume.Id, released: all).Deletes.ToHashSet() : all;
        foreach (var layer in layers)
        {
            long bytes = layer.External ? 0 : context.Storage.Measure(layer.File)?.AllocatedBytes ?? 0;
            yield return !gone.Contains(layer.Id)
                ? new PlanStep(PlanAction.Update, layer.Uid.ToString(), $"keep a layer of volume '{volume.Name}' ({ByteSize.Format(bytes)}) until the last linked clone that needs it goes")
                : layer.External
                ? new PlanStep(PlanAction.Forget, layer.Uid.ToString(), $"let go of the adopted image '{layer.Location}', which is left as it is")
                : new PlanStep(PlanAction.DeleteLayer, layer.Uid.ToString(), $"delete a layer of volume '{volume.Name}' ({ByteSize.Format(bytes)})", BytesFreed: bytes);
        }
    }

    /// <summary>Forgets volumes with all that is theirs. Part of a transaction.</summary>
    public static void Forget(EngineContext context, IEnumerable<VolumeRow> volumes)
    {
        foreach (var volume in volumes)
        {
            context.Catalog.Snapshots.OfVolume(volume.Id).ForEach(context.Catalog.Snapshots.DeleteVolumeSnapshot);
            var layers = context.Catalog.Layers.OfVolume(volume.Id);
            foreach (var copy in context.Catalog.Copies.OfVolume(volume.Id).Where(c => c.VolumeId == volume.Id))
            {
                // Of an operation that failed: one that has not ended is in the way of a removal.
                context.Catalog.Layers.AddGarbage(copy.Location);
                context.Catalog.Copies.Delete(copy.OperationId);
            }
            context.Catalog.Layers.AddGarbage(context.Storage.PublishedLocation(volume.Name));
            context.Catalog.Layers.SetPublished(volume.Id);
            if (context.Catalog.Volumes.IsBaseOfOthers(volume.Id))
            {
                RemovedVolumes.Hide(context, volume);
                continue;
            }
            layers.ForEach(l => context.Catalog.Layers.SetParent(l.Id, null));
            layers.ForEach(l => context.Catalog.Layers.Drop(l));
            context.Catalog.Volumes.Delete(volume.Id);
        }
    }
}
