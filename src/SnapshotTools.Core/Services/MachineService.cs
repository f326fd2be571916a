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
    /// <exception cref="SnapshotException"><see cref="ErrorIds.HasDependants"/>: linked clones need what would go with it.</exception>
    public PlannedOperation<VmInstance> Remove(string vm, bool removeVolumes, bool removeSnapshots, DependantAction dependants = DependantAction.Refuse)
    {
        var removal = new RemoveVm(_context, vm, removeVolumes, removeSnapshots, dependants: dependants).Prepare();
        if (dependants != DependantAction.Flatten) return removal;
        var clones = _context.Database.Read(() => RemoveVm.FindClones(_context, _context.ResolveVm(vm), removeVolumes));
        return FlattenVolumes.Before(_context, clones, removal, () => new RemoveVm(_context, vm, removeVolumes, removeSnapshots).Prepare());
    }

    /// <summary>Starts a VM, or lets it go on from where it was suspended or paused.</summary>
    public PlannedOperation<VmInstance> Start(string vm, bool paused = false) => new StartVm(_context, vm, paused).Prepare();

    /// <summary>Stops a VM: asks its guest and waits, or turns it off at once.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.WaitTimedOut"/>: the guest did not shut down in time.</exception>
    public PlannedOperation<VmInstance> Stop(string vm, bool turnOff, TimeSpan timeout) => new ChangePower(_context, vm, turnOff ? PowerChange.TurnOff : PowerChange.ShutDown, timeout).Prepare();

    /// <summary>Lets the processors of a running VM stand.</summary>
    public PlannedOperation<VmInstance> Suspend(string vm) => new ChangePower(_context, vm, PowerChange.Pause, TimeSpan.Zero).Prepare();

    /// <summary>Lets a paused VM go on.</summary>
    public PlannedOperation<VmInstance> Resume(string vm) => new ChangePower(_context, vm, PowerChange.Resume, TimeSpan.Zero).Prepare();

    /// <summary>
    /// Takes a machine that someone else started as the running machine of a VM: every disk of the VM must be one of its disks,
    /// over the very layers that the store has. This and every later session then find it by its monitor until it ends,
    /// <see cref="Disconnect"/> lets go of it, or the VM is started here. Nothing changes in the machine.
    /// </summary>
    /// <param name="vm">Name or id of the VM, which must be stopped as far as the store knows.</param>
    /// <param name="monitor">Where a QMP monitor listens that nobody else is connected to: <c>unix:PATH</c>, <c>tcp:HOST:PORT</c>, or a
    /// path. Memory can be saved over a Unix socket only. TCP is neither encrypted nor authenticated.</param>
    /// <param name="agent">Where the host's end of the guest agent's channel listens; null when there is none.</param>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.MachineMismatch"/>: the machine does not run the VM's present;
    /// <see cref="ErrorIds.VmNotStopped"/>; <see cref="ErrorIds.ComputeFailed"/>: nothing answers; <see cref="ErrorIds.VmBusy"/>: another program holds the monitor;
    /// <see cref="ErrorIds.InvalidArgument"/>: no such address.</exception>
    public PlannedOperation<VmInstance> Connect(string vm, string monitor, string? agent = null) => new ConnectMachine(_context, vm, monitor, agent).Prepare();

    /// <summary>Lets go of a machine that <see cref="Connect"/> took; it runs on, and the store does not know of it any more.</summary>
    public PlannedOperation<VmInstance> Disconnect(string vm) => new DisconnectMachine(_context, vm).Prepare();

    /// <summary>Attaches a volume.</summary>
    public PlannedOperation<VmInstance> Attach(string vm, AttachRequest request) => new AttachVolume(_context, vm, request).Prepare();

    /// <summary>Detaches a volume.</summary>
    public PlannedOperation<VmInstance> Detach(string vm, string volume) => new DetachVolume(_context, vm, volume).Prepare();
}
