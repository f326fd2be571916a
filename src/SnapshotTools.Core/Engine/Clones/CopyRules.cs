using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Clones;

/// <summary>What must not be done while a clone is being copied.</summary>
internal static class CopyRules
{
    /// <summary>Refuses while one of the volumes is the source or the target of a copy that has not ended.</summary>
    /// <param name="context">The store.</param>
    /// <param name="volumes">The volumes.</param>
    /// <param name="verb">What would be done to it, such as <c>resized</c>.</param>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.CloneInProgress"/>.</exception>
    public static void RequireNoCopy(EngineContext context, List<VolumeRow> volumes, string verb)
    {
        if (context.Catalog.Copies.Any()) volumes.ForEach(v => RequireNoCopy(context, v, verb));
    }

    /// <summary>The same of one volume.</summary>
    public static void RequireNoCopy(EngineContext context, VolumeRow volume, string verb)
    {
        foreach (var copy in context.Catalog.Copies.OfVolume(volume.Id))
        {
            var operation = context.Catalog.Operations.Get(copy.OperationId);
            if (operation.State is OperationState.Completed or OperationState.Cancelled or OperationState.Failed) continue;
            string clone = context.Catalog.Volumes.Get(copy.VolumeId).Name;
            string what = copy.VolumeId == volume.Id ? "is still being copied from its source" : $"is being copied into its clone '{clone}'";
            throw new SnapshotException(ErrorIds.CloneInProgress, ErrorKind.Conflict,
                $"Volume '{volume.Name}' {what} ({operation.State}) and cannot be {verb} meanwhile. Wait for it: Wait-SnapshotOperation {operation.Uid}; or leave the clone linked: Stop-SnapshotOperation {operation.Uid}", volume.Name);
        }
    }
}
