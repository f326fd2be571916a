using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine;
using SnapshotTools.Core.Engine.Clones;
using SnapshotTools.Core.Engine.Snapshots;

namespace SnapshotTools.Core;

/// <summary>VM snapshots of a store.</summary>
public sealed class SnapshotService
{
    private readonly EngineContext _context;

    internal SnapshotService(EngineContext context) => _context = context;

    /// <summary>The snapshots that meet all conditions, by VM and in the order in which they were taken.</summary>
    public IReadOnlyList<VmSnapshot> Find(SnapshotQuery query) => [.. Enumerate(query)];

    /// <summary>The same one by one, for a pipeline: what they are is read at once, each is made when it is asked for.</summary>
    public IEnumerable<VmSnapshot> Enumerate(SnapshotQuery query)
    {
        ArgumentNullException.ThrowIfNull(query);
        return _context.Database.Read(() => new SnapshotSource(_context, OneVm(query))).Choose(query);
    }

    /// <summary>A VM's snapshot by name, by id, or by a pattern that only it matches.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.VmNotFound"/>, <see cref="ErrorIds.SnapshotNotFound"/> or <see cref="ErrorIds.AmbiguousName"/>.</exception>
    public VmSnapshot Get(string vm, string nameOrId) => _context.Database.Read(() => _context.ToModel(_context.ResolveSnapshot(_context.ResolveVm(vm), nameOrId)));

    /// <summary>Every tag that is in use.</summary>
    public IReadOnlyList<string> GetTags() => _context.Catalog.Snapshots.AllTags();

    /// <summary>Takes a snapshot.</summary>
    public PlannedOperation<VmSnapshot> Create(NewSnapshotRequest request) => new CreateVmSnapshot(_context, request).Prepare();

    /// <summary>Restores a VM to a snapshot, or ends a restore that failed.</summary>
    public PlannedOperation<VmInstance> Restore(RestoreRequest request) => new RestoreVmSnapshot(_context, request).Prepare();

    /// <summary>Removes snapshots; gives back what they were.</summary>
    public PlannedOperation<IReadOnlyList<VmSnapshot>> Remove(RemoveSnapshotRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        var removal = new RemoveVmSnapshot(_context, request).Prepare();
        if (request.Dependants != DependantAction.Flatten) return removal;
        var clones = _context.Database.Read(() => RemoveVmSnapshot.Doomed(_context, request).SelectMany(s => _context.Catalog.Snapshots.OfVmSnapshot(s.Id))
            .SelectMany(p => _context.Catalog.Volumes.LinkedClonesOn(p.LayerId)).Distinct().ToList());
        return FlattenVolumes.Before(_context, clones, removal, () => new RemoveVmSnapshot(_context, request with { Dependants = DependantAction.Refuse }).Prepare());
    }

    /// <summary>Renames a snapshot.</summary>
    public PlannedOperation<VmSnapshot> Rename(string vm, string snapshot, string newName) => new ChangeVmSnapshot(_context, vm, snapshot, newName, new SnapshotChanges()).Prepare();

    /// <summary>Changes a snapshot's description, tags and expiry.</summary>
    public PlannedOperation<VmSnapshot> Set(string vm, string snapshot, SnapshotChanges changes) => new ChangeVmSnapshot(_context, vm, snapshot, null, changes).Prepare();

    /// <summary>The VM that a query is about when it names just one, so that a large store need not be read for it.</summary>
    private VmRow? OneVm(SnapshotQuery query) =>
        query.Vms is [var name] && !Names.IsPattern(name) ? Guid.TryParse(name, out Guid id) ? _context.Catalog.Machines.FindById(id) : _context.Catalog.Machines.FindByName(name) : null;
}
