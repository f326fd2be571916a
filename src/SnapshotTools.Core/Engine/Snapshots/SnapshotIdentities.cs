using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Snapshots;

/// <summary>What the new heads over a snapshot carry of it.</summary>
internal static class SnapshotIdentities
{
    /// <summary>The part that is the same for all volumes of a VM snapshot that is about to be taken.</summary>
    public static SnapshotIdentity Of(EngineContext context, VmRow vm, VmSnapshotRow snapshot) => new()
    {
        Id = Guid.Empty,
        VmSnapshot = snapshot.Uid,
        VmSnapshotParent = snapshot.ParentId is { } parent ? context.Catalog.Snapshots.Find(parent)?.Uid : null,
        Name = snapshot.Name,
        CreatedAt = snapshot.CreatedAt,
        Description = snapshot.Description,
        Tags = Json.Read<string[]>(snapshot.Tags),
        ExpiresAt = snapshot.ExpiresAt,
        Scope = snapshot.Scope,
        Consistency = snapshot.Consistency,
        Vm = context.ConfigurationOf(vm),
    };
}
