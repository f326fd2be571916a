using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Power;
using SnapshotTools.Core.Engine.Snapshots;
using SnapshotTools.Core.Engine.Volumes;

namespace SnapshotTools.Core.Engine.Machines;

/// <summary>Removes a VM instance: its definition, its snapshots if that was said, and its volumes if that was said.</summary>
internal sealed class RemoveVm(EngineContext context, string vmName, bool removeVolumes, bool removeSnapshots, bool isTemplate = false, DependantAction dependants = DependantAction.Refuse) : Command<VmInstance>(context)
{
    private readonly Collecting _collecting = new(context);
    private VmRow _vm = null!;
    private List<VmSnapshotRow> _snapshots = null!;
    private List<VolumeSnapshotRow> _parts = null!;
    private List<VolumeRow> _removed = null!;

    protected override IReadOnlyCollection<LockKey> Locks()
    {
        var row = Context.ResolveVm(vmName);
        return [LockKey.Vm(row.Id), .. Catalog.Machines.Attachments(row.Id).Select(a => LockKey.Volume(a.VolumeId))];
    }

    protected override OperationPlan Plan()
    {
        _vm = Context.ResolveVm(vmName);
        if (!isTemplate) VmRules.RequireNoTemplate(_vm);
        Context.RequireStopped(_vm, "removing it");
        _snapshots = Catalog.Snapshots.OfVm(_vm.Id);
        if (_snapshots.Count > 0 && !removeSnapshots)
            throw new SnapshotException(ErrorIds.VmHasSnapshots, ErrorKind.Conflict,
                $"VM '{_vm.Name}' has {_snapshots.Count} snapshots, such as '{_snapshots[0].Name}', that would be lost with it. Use -IncludeSnapshots if they may go.", _vm.Name);
        _parts = [.. _snapshots.SelectMany(s => Catalog.Snapshots.OfVmSnapshot(s.Id))];
        _removed = removeVolumes ? OwnVolumes(Context, _vm) : [];
        var staying = _parts.Where(p => !_removed.Exists(v => v.Id == p.VolumeId)).ToList();
        var volumes = VolumeRemoval.Plan(Context, _removed, "", removeSnapshots, dependants: dependants);
        return new OperationPlan
        {
            Kind = OperationKind.Remove,
            Target = _vm.Name,
            Summary = $"Remove {(isTemplate ? "template" : "VM instance")} '{_vm.Name}'{(removeVolumes ? " and its volumes" : ", leaving its volumes")}.",
            Steps = [.. _snapshots.Select(s => new PlanStep(PlanAction.Forget, s.Uid.ToString(), $"forget snapshot '{s.Name}'")), .. SnapshotLayers.DescribeRelease(Context, _collecting, staying, dependants), .. volumes.Steps],
            Lost = [$"{(isTemplate ? "template" : "VM instance")} '{_vm.Name}'", .. _snapshots.Select(s => $"snapshot '{s.Name}'"), .. volumes.Lost],
        };
    }

    /// <summary>Names of the linked clones that need what goes with a VM: its volumes, if they go too, and its snapshots.</summary>
    public static IReadOnlyList<string> FindClones(EngineContext context, VmRow vm, bool removeVolumes)
    {
        var removed = removeVolumes ? OwnVolumes(context, vm) : [];
        var parts = context.Catalog.Snapshots.OfVm(vm.Id).SelectMany(s => context.Catalog.Snapshots.OfVmSnapshot(s.Id)).Where(p => !removed.Exists(v => v.Id == p.VolumeId));
        return [.. removed.SelectMany(v => context.Catalog.Volumes.LinkedClonesOf(v.Id)).Concat(parts.SelectMany(p => context.Catalog.Volumes.LinkedClonesOn(p.LayerId))).Distinct()];
    }

    /// <summary>The volumes that no other VM has.</summary>
    private static List<VolumeRow> OwnVolumes(EngineContext context, VmRow vm) =>
        [.. context.Catalog.Machines.Attachments(vm.Id).Where(a => context.Catalog.Machines.AllAttachmentsOf(a.VolumeId).Count == 1).Select(a => context.Catalog.Volumes.Get(a.VolumeId))];

    protected override VmInstance Execute(OperationPlan plan, RunOptions options)
    {
        var model = Context.ToModel(_vm);
        var heads = _removed.ConvertAll(v => Catalog.Layers.Get(v.HeadId).File).FindAll(f => Storage.Measure(f) is not null);
        using var reserved = Storage.Reserve(heads);
        using var run = OperationRun.Begin(Context, OperationKind.Remove, plan.Target, options);
        try
        {
            Context.Database.Write(() =>
            {
                _parts.ForEach(Catalog.Snapshots.DeleteVolumeSnapshot);
                _snapshots.ForEach(Catalog.Snapshots.Delete);
                Catalog.Machines.Delete(_vm.Id);
                VolumeRemoval.Forget(Context, _removed);
            });
            run.Afterwards(_collecting.DeleteGarbage);
            SnapshotLayers.Collect(Context, _collecting, [.. _parts.Select(p => p.VolumeId).Distinct().Where(id => !_removed.Exists(v => v.Id == id))], run);
            run.Commit(() => { });
            Context.Compute?.Forget(_vm.Uid);
        }
        catch (Exception error)
        {
            run.Fail(error);
            throw;
        }
        return model;
    }
}
