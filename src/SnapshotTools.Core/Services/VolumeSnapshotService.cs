using SnapshotTools.Core.Engine;
using SnapshotTools.Core.Engine.Clones;
using SnapshotTools.Core.Engine.VolumeSnapshots;

namespace SnapshotTools.Core;

/// <summary>Volume snapshots of a store, those of VM snapshots included.</summary>
public sealed class VolumeSnapshotService
{
    private readonly EngineContext _context;

    internal VolumeSnapshotService(EngineContext context) => _context = context;

    /// <summary>The snapshots of the volumes, and with the names, that match any of the patterns; no pattern matches all.</summary>
    public IReadOnlyList<VolumeSnapshot> Find(IReadOnlyList<string> volumes, IReadOnlyList<string> names) => _context.Database.Read<IReadOnlyList<VolumeSnapshot>>(() =>
    {
        ArgumentNullException.ThrowIfNull(volumes);
        ArgumentNullException.ThrowIfNull(names);
        var isVolume = Names.Matcher(volumes);
        var isName = Names.Matcher(names);
        return [.. _context.Catalog.Volumes.All().Where(v => isVolume(v.Name, v.Uid))
            .SelectMany(v => _context.Catalog.Snapshots.OfVolume(v.Id).Where(s => isName(s.Name, s.Uid))).Select(_context.ToModel)];
    });

    /// <summary>A volume's snapshot by name, by id, or by a pattern that only it matches.</summary>
    public VolumeSnapshot Get(string volume, string nameOrId) => _context.Database.Read(() => _context.ToModel(_context.ResolveSnapshot(_context.ResolveVolume(volume), nameOrId)));

    /// <summary>Takes a snapshot of a volume.</summary>
    public PlannedOperation<VolumeSnapshot> Create(string volume, string? name, string? description, bool ensure) => new CreateVolumeSnapshot(_context, volume, name, description, ensure).Prepare();

    /// <summary>Restores a volume to a snapshot of its own.</summary>
    public PlannedOperation<VmVolume> Restore(string volume, string snapshot, bool keepBackup) => new RestoreVolumeSnapshot(_context, volume, snapshot, keepBackup).Prepare();

    /// <summary>Removes a snapshot that is no part of a VM snapshot; gives back what it was.</summary>
    public PlannedOperation<VolumeSnapshot> Remove(string volume, string snapshot, DependantAction dependants = DependantAction.Refuse)
    {
        var removal = new RemoveVolumeSnapshot(_context, volume, snapshot, dependants).Prepare();
        if (dependants != DependantAction.Flatten) return removal;
        var clones = _context.Database.Read(() => _context.Catalog.Volumes.LinkedClonesOn(_context.ResolveSnapshot(_context.ResolveVolume(volume), snapshot).LayerId));
        return FlattenVolumes.Before(_context, clones, removal, () => new RemoveVolumeSnapshot(_context, volume, snapshot).Prepare());
    }
}
