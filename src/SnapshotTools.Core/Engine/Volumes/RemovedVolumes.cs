using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Volumes;

/// <summary>Volumes that were removed while linked clones still read their layers: what the clones need stays, out of sight, until the last of them goes.</summary>
internal static class RemovedVolumes
{
    /// <summary>Takes a volume out of sight and forgets those of its layers that no clone needs. Part of a transaction.</summary>
    public static void Hide(EngineContext context, VolumeRow volume)
    {
        var head = context.Catalog.Layers.Get(volume.HeadId);
        context.Catalog.Layers.Freeze(head.Id, context.Storage.Measure(head.File) ?? new LayerFacts(0, 0, DateTimeOffset.UtcNow));
        context.Catalog.Volumes.SetRemoved(volume.Id);
        DropUnneeded(context, volume.Id);
    }

    /// <summary>Forgets what the last clones have left.</summary>
    public static void Sweep(EngineContext context)
    {
        var removed = context.Catalog.Volumes.Removed();
        if (removed.TrueForAll(id => LayerCollector.Plan(context.Catalog.Layers.ForCollector(id)).Deletes.Count == 0)) return;
        context.Database.Write(() => context.Catalog.Volumes.Removed().ForEach(id => DropUnneeded(context, id)));
    }

    private static void DropUnneeded(EngineContext context, long volumeId)
    {
        new Collecting(context).DropDeleted(LayerCollector.Plan(context.Catalog.Layers.ForCollector(volumeId)));
        if (context.Catalog.Layers.OfVolume(volumeId).Count == 0) context.Catalog.Volumes.Delete(volumeId);
    }
}
