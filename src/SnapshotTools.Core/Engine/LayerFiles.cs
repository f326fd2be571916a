using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine;

/// <summary>What the catalog and the files of layers have to say of each other.</summary>
internal static class LayerFiles
{
    /// <summary>What a layer occupies; an error that names it when its file is gone.</summary>
    public static LayerFacts Measure(IStoragePlane storage, LayerRow layer) => storage.Measure(layer.File)
        ?? throw new SnapshotException(ErrorIds.LayerDamaged, ErrorKind.Damaged,
            $"The layer file '{storage.PathOf(layer.File)}' is missing. Nothing was changed. Put the file back, and run Test-SnapshotStore to see what it affects.", layer.Location);

    /// <summary>A frozen layer that had to be written is guarded again, and known as it is now; of another nothing is recorded.</summary>
    public static void Refreeze(EngineContext context, LayerRow layer)
    {
        if (layer.State != LayerState.Frozen) return;
        if (!layer.External) context.Storage.SetFrozen(layer.File, true);
        var facts = Measure(context.Storage, layer);
        context.Database.Write(() => context.Catalog.Layers.SetFacts(layer.Id, facts));
    }
}
