using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Clones;

/// <summary>Copies that nobody works on yet.</summary>
internal static class CopyQueue
{
    /// <summary>Writes down, in the transaction that is open, that a layer is to be filled.</summary>
    /// <param name="context">The store.</param>
    /// <param name="batch">The operation that asks for it; its copies share one pace.</param>
    /// <param name="target">The name of the volume that has the layer.</param>
    /// <param name="volumeId">That volume.</param>
    /// <param name="layerId">The layer.</param>
    /// <param name="sourceId">The volume that it lies on.</param>
    /// <param name="bytes">The most there is to copy.</param>
    /// <param name="pace">How fast.</param>
    public static OperationRow Add(EngineContext context, long batch, string target, long volumeId, long layerId, long sourceId, long bytes, CopyPace pace)
    {
        var operation = context.Catalog.Operations.Queue(OperationKind.Copy, target, bytes);
        string location = context.Storage.NewLayerFile(Guid.CreateVersion7()).Location;
        context.Catalog.Copies.Insert(new CopyRow(operation.Id, batch, volumeId, layerId, sourceId, location, 0, pace.MaxBytesPerSecond, pace.MaxConcurrency));
        return operation;
    }
}
