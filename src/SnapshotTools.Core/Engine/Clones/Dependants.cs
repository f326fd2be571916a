using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Clones;

/// <summary>Which volumes lie on the layers of others.</summary>
internal static class Dependants
{
    /// <summary>Names of the volumes that have a layer directly on one of a volume's layers.</summary>
    public static IReadOnlyList<string> OfVolume(EngineContext context, long volumeId) => context.Catalog.Volumes.LinkedClonesOf(volumeId);

    /// <summary>Names of the volumes that have a layer directly on a layer of another.</summary>
    public static IReadOnlyList<string> OfLayer(EngineContext context, LayerRow layer) =>
        [.. context.Catalog.Layers.Children(layer.Id).Where(c => c.VolumeId is { } id && id != layer.VolumeId).Select(c => context.Catalog.Volumes.Get(c.VolumeId!.Value).Name).Distinct().Order(StringComparer.OrdinalIgnoreCase)];
}
