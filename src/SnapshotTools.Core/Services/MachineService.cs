using SnapshotTools.Core.Engine;
using SnapshotTools.Core.Engine.Clones;
using SnapshotTools.Core.Engine.Machines;
using SnapshotTools.Core.Engine.Power;

namespace SnapshotTools.Core;

/// <summary>VM instances of a store.</summary>
public sealed class MachineService
{
    private readonly EngineContext _context;

    internal MachineService(EngineContext context) => _context = context;

    /// <summary>The VM instances that match any of the patterns (names with wildcards, or ids); all without patterns.</summary>
    public IReadOnlyList<VmInstance> Find(params IReadOnlyList<string> patterns) => _context.Database.Read<IReadOnlyList<VmInstance>>(() =>
    {
        ArgumentNullException.ThrowIfNull(patterns);
        if (patterns is [var one] && !Names.IsPattern(one) && !Guid.TryParse(one, out _))
            return _context.Catalog.Machines.FindByName(one) is { IsTemplate: false } row ? [_context.ToModel(row)] : [];
        var matches = Names.Matcher(patterns);
        var attachments = _context.Catalog.Machines.AllAttachments().ToLookup(a => a.VmId);
        var counts = _context.Catalog.Machines.SnapshotCounts();
        return [.. _context.Catalog.Machines.All().Where(m => !m.IsTemplate && matches(m.Name, m.Uid)).Select(m => _context.ToModel(m, attachments[m.Id],
            counts.GetValueOrDefault(m.Id), m.PresentId is { } id ? _context.Catalog.Snapshots.Find(id)?.Name : null))];
    });

    /// <summary>The VM instance of a name or id.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.VmNotFound"/>.</exception>
    public VmInstance Get(string nameOrId) => _context.Database.Read(() => _context.ToModel(_context.ResolveVm(nameOrId)));

    /// <summary>Makes a VM instance of volumes that exist.</summary>
    public PlannedOperation<VmInstance> Create(NewVmRequest request) => new CreateVm(_context, request).Prepare();

    /// <summary>Changes a VM's configuration. What is not named stays.</summary>
    public PlannedOperation<VmInstance> Set(string vm, VmChanges changes) => new ChangeVm(_context, vm, changes).Prepare();

    /// <summary>Makes replicas of a VM, of its present or of a snapshot, or VMs of a template. Their data is copied by <see cref="OperationService.Run"/>, or by a worker.</summary>
    public PlannedOperation<VmCloneResult> Clone(VmCloneRequest request) => new CloneVm(_context, request).Prepare();

    /// <summary>Removes a VM instance; gives back what it was.</summary>
    public PlannedOperation<VmInstance> Remove(string vm, bool removeVolumes, bool removeSnapshots) => new RemoveVm(_context, vm, removeVolumes, removeSnapshots).Prepare();

    /// <summary>Starts a VM, or lets it go on from where it was suspended or paused.</summary>
    public PlannedOperation<VmInstance> Start(string vm, bool paused = false) => new StartVm(_context, vm, paused).Prepare();

    /// <summary>Stops a VM: asks its guest and waits, or turns it off at once.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.WaitTimedOut"/>: the guest did not shut down in time.</exception>
    public PlannedOperation<VmInstance> Stop(string vm, bool turnOff, TimeSpan timeout) => new ChangePower(_context, vm, turnOff ? PowerChange.TurnOff : PowerChange.ShutDown, timeout).Prepare();

    /// <summary>Lets the processors of a running VM stand.</summary>
    public PlannedOperation<VmInstance> Suspend(string vm) => new ChangePower(_context, vm, PowerChange.Pause, TimeSpan.Zero).Prepare();

    /// <summary>Lets a paused VM go on.</summary>
    public PlannedOperation<VmInstance> Resume(string vm) => new ChangePower(_context, vm, PowerChange.Resume, TimeSpan.Zero).Prepare();

    /// <summary>Attaches a volume.</summary>
    public PlannedOperation<VmInstance> Attach(string vm, AttachRequest request) => new AttachVolume(_context, vm, request).Prepare();

    /// <summary>Detaches a volume.</summary>
    public PlannedOperation<VmInstance> Detach(string vm, string volume) => new DetachVolume(_context, vm, volume).Prepare();
}
