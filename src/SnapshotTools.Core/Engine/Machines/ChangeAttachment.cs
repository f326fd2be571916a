using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Power;

namespace SnapshotTools.Core.Engine.Machines;

/// <summary>Attaches a volume to a VM.</summary>
internal sealed class AttachVolume(EngineContext context, string vmName, AttachRequest request) : Command<VmInstance>(context)
{
    private VmRow _vm = null!;
    private Attachment _attachment = null!;

    protected override IReadOnlyCollection<LockKey> Locks() => [LockKey.Vm(Context.ResolveVm(vmName).Id), LockKey.Volume(Context.ResolveVolume(request.Volume).Id)];

    protected override OperationPlan Plan()
    {
        _vm = Context.ResolveVm(vmName);
        VmRules.RequireNoError(_vm);
        Context.RequireOff(_vm, "attaching a volume");
        var present = Catalog.Machines.Attachments(_vm.Id);
        _attachment = Attachment.Resolve(Context, _vm.Name, [request], Attachment.NextPosition(present, request.Bus), isFirst: present.Count == 0)[0];
        return new OperationPlan
        {
            Kind = OperationKind.CreateVolume,
            Target = $"{_vm.Name}/{_attachment.Volume.Name}",
            Summary = $"Attach volume '{_attachment.Volume.Name}' to VM '{_vm.Name}'.",
            Steps = [new PlanStep(PlanAction.Update, _attachment.Volume.Name, "change the catalog; no layer is touched")],
        };
    }

    protected override VmInstance Execute(OperationPlan plan, RunOptions options)
    {
        Context.Database.Write(() => Catalog.Machines.Attach(_vm.Id, _attachment.Volume.Id, _attachment.Position, _attachment.Bus, _attachment.Boot, _attachment.Shared));
        return Context.ToModel(Catalog.Machines.Get(_vm.Id));
    }
}

/// <summary>Detaches a volume from a VM.</summary>
internal sealed class DetachVolume(EngineContext context, string vmName, string volumeName) : Command<VmInstance>(context)
{
    private VmRow _vm = null!;
    private VolumeRow _volume = null!;

    protected override IReadOnlyCollection<LockKey> Locks() => [LockKey.Vm(Context.ResolveVm(vmName).Id), LockKey.Volume(Context.ResolveVolume(volumeName).Id)];

    protected override OperationPlan Plan()
    {
        _vm = Context.ResolveVm(vmName);
        VmRules.RequireNoError(_vm);
        Context.RequireOff(_vm, "detaching a volume");
        _volume = Context.ResolveVolume(volumeName);
        var present = Catalog.Machines.Attachments(_vm.Id);
        if (!present.Exists(a => a.VolumeId == _volume.Id))
            throw new SnapshotException(ErrorIds.VolumeNotAttached, ErrorKind.Conflict,
                $"Volume '{_volume.Name}' is not attached to VM '{_vm.Name}'. It has: {string.Join(", ", present.Select(a => a.VolumeName))}", _volume.Name);
        VolumeRules.RequireNotInVmSnapshot(Context, _volume, _vm.Id, "detached");
        return new OperationPlan
        {
            Kind = OperationKind.Remove,
            Target = $"{_vm.Name}/{_volume.Name}",
            Summary = $"Detach volume '{_volume.Name}' from VM '{_vm.Name}'.",
            Steps = [new PlanStep(PlanAction.Update, _volume.Name, "change the catalog; no layer is touched")],
        };
    }

    protected override VmInstance Execute(OperationPlan plan, RunOptions options)
    {
        Context.Database.Write(() => Catalog.Machines.Detach(_vm.Id, _volume.Id));
        return Context.ToModel(Catalog.Machines.Get(_vm.Id));
    }
}
