using System.Globalization;
using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Snapshots;

/// <summary>What a restore will do, in words and bytes.</summary>
internal sealed class RestorePlans(EngineContext context, RestoreChoice choice, Collecting collecting)
{
    private string Target => $"{choice.Vm.Name}/{choice.Snapshot.Name}";

    public OperationPlan OfRestore()
    {
        string vm = choice.Vm.Name;
        bool saves = choice.Ran && choice.Failed is null && choice.WhyNoMemory is null;
        var steps = new List<PlanStep>();
        var lost = new List<string>();
        if (choice.Ran && choice.Failed is null) steps.Add(new PlanStep(PlanAction.StopVm, vm, saves ? $"save the memory of VM '{vm}' and turn it off" : $"turn VM '{vm}' off"));
        if (choice.KeepBackup) steps.Add(new PlanStep(PlanAction.Backup, vm, $"keep the present state of VM '{vm}'{(saves ? ", with its memory," : "")} as a backup snapshot"));
        if (choice.Ran && !(saves && choice.KeepBackup))
            lost.Add($"what the guest of VM '{vm}' has in memory and has not written to its disks{(choice.WhyNoMemory is null ? "" : $"; it is lost as well should the restore fail, since {choice.WhyNoMemory}")}");
        if (choice.State == VmState.Suspended && !RestoreBackup.KeepsSuspendedMemory(context, choice)) lost.Add($"the memory that VM '{vm}' was suspended with, as far as no snapshot keeps it");
        var present = context.Catalog.Snapshots.PresentOf(choice.Restored);
        var released = choice.KeepBackup ? null : collecting.PlanAround(choice.Heads.ToDictionary(h => h.VolumeId!.Value, h => new[] { h.Id }), choice.Heads.ConvertAll(h => h.Id));
        foreach (var (volume, head) in choice.Restored.Zip(choice.Heads))
        {
            steps.Add(new PlanStep(PlanAction.Branch, volume.Name, $"put a new head for volume '{volume.Name}' over snapshot '{choice.Snapshot.Name}'"));
            if (released is null) continue;
            var since = volume.PresentId is { } id ? present.GetValueOrDefault(id) : null;
            // How much that is changes under a running guest, and a plan that was agreed to must not.
            string written = choice.Ran && choice.Failed is null ? "all that was" : ByteSize.Format(LayerFiles.Measure(context.Storage, head).AllocatedBytes);
            lost.Add($"the present state of volume '{volume.Name}': {written} written since {(since is null ? "it was made" : $"snapshot '{since.Name}'")}");
            steps.AddRange(collecting.Describe(volume.Name, released[volume.Id], head));
        }
        var others = saves && choice.KeepBackup ? RestoreBackup.OtherVolumes(context, choice) : [];
        steps.AddRange(others.Select(v => new PlanStep(PlanAction.Freeze, v.Name, $"freeze the head of volume '{v.Name}', to which the memory of the backup belongs too, and put a new empty one over it")));
        long space = NewHeads.SpaceFor(context.Storage, [.. choice.Layers.Select(l => l.Size), .. others.Select(v => v.Size)]);
        context.RequireSpace(space, $"Restoring VM '{vm}'");
        return new OperationPlan
        {
            Kind = OperationKind.Restore,
            Target = Target,
            Summary = string.Create(CultureInfo.InvariantCulture, $"Restore VM '{vm}' to snapshot '{choice.Snapshot.Name}' of {choice.Snapshot.CreatedAt.ToLocalTime():yyyy-MM-dd HH:mm:ss}.{choice.WithoutMemory}"),
            Steps = steps,
            Lost = lost,
            SpaceNeeded = space,
        };
    }

    public OperationPlan OfRollback()
    {
        var backup = new RestoreBackup(context, choice).Find();   // without one the present still is what it was
        string then = !choice.Ran ? "" : backup?.Memory is null ? " It is started again." : " It goes on from the second at which it was stopped.";
        return new OperationPlan
        {
            Kind = OperationKind.Restore,
            Target = Target,
            Summary = $"Return VM '{choice.Vm.Name}' to the state before the restore of snapshot '{choice.Snapshot.Name}' that failed.{then}",
            Steps = [backup is null ? new PlanStep(PlanAction.Update, choice.Vm.Name, "end the failed restore, which has changed nothing and has no backup snapshot")
                : new PlanStep(PlanAction.Forget, backup.Uid.ToString(), $"forget the backup snapshot '{backup.Name}', whose state is the present again")],
        };
    }
}
