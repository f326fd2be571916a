using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine;

/// <summary>Questions about layers that must have an answer.</summary>
internal static class LayerFiles
{
    /// <summary>What a layer occupies; an error that names it when its file is gone.</summary>
    public static LayerFacts Measure(IStoragePlane storage, LayerRow layer) => storage.Measure(layer.File)
        ?? throw new SnapshotException(ErrorIds.LayerDamaged, ErrorKind.Damaged,
            $"The layer file '{storage.PathOf(layer.File)}' is missing. Nothing was changed. Put the file back, and run Test-SnapshotStore to see what it affects.", layer.Location);
}
