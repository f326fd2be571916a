using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Snapshots;

/// <summary>The memory of a checkpoint belongs to all disks of its machine: what the guest has written to another one since, it would not know of.</summary>
internal static class CheckpointMemory
{
    /// <summary>Names of the disks that the machine had and the checkpoint does not; with none its memory can be used.</summary>
    public static IReadOnlyList<string> MissingDisks(EngineContext context, VmSnapshotRow snapshot)
    {
        if (snapshot.Memory is null) return [];
        var parts = context.Catalog.Volumes.Of(context.Catalog.Snapshots.OfVmSnapshot(snapshot.Id), p => p.VolumeId);
        return [.. Json.Read<VmConfiguration>(snapshot.Configuration).Volumes.Where(v => !parts.Exists(p => p.Uid == v.VolumeId)).Select(v => $"'{v.Volume}'")];
    }
}
