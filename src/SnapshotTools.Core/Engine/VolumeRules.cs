using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Power;

namespace SnapshotTools.Core.Engine;

/// <summary>Rules about volumes that several commands check.</summary>
internal static class VolumeRules
{
    /// <summary>Refuses to change a volume while a VM that has it is in state Error.</summary>
    public static void RequireNoError(EngineContext context, VolumeRow volume)
    {
        foreach (string vm in context.Catalog.Volumes.AttachedTo(volume.Id)) VmRules.RequireNoError(context.ResolveVm(vm));
    }

    /// <summary>Refuses to make a disk of the backup of a failed restore: its layer is the present, which a rollback lets the guest write to again.</summary>
    public static void RequireFrozen(EngineContext context, VolumeSnapshotRow snapshot, LayerRow layer)
    {
        if (layer.State != LayerState.Head) return;
        foreach (var attachment in context.Catalog.Machines.AllAttachmentsOf(snapshot.VolumeId)) VmRules.RequireNoFailedRestore(context.Catalog.Machines.Get(attachment.VmId));
    }

    /// <summary>Refuses to change what a volume holds under a VM that runs, or that is suspended with a memory that belongs to it.</summary>
    /// <param name="context">The store.</param>
    /// <param name="volume">The volume.</param>
    /// <param name="verb">What is refused.</param>
    /// <param name="mayRun">Whether it can be done under a VM that runs.</param>
    public static void RequireNotInUse(EngineContext context, VolumeRow volume, string verb, bool mayRun = false)
    {
        foreach (var attachment in context.Catalog.Machines.AllAttachmentsOf(volume.Id))
        {
            var vm = context.Catalog.Machines.Get(attachment.VmId);
            var state = context.StateOf(vm);
            if (state is not (VmState.Running or VmState.Paused or VmState.Suspended) || (mayRun && state != VmState.Suspended)) continue;
            string why = state == VmState.Suspended ? "which is suspended with a memory that belongs to what the volume holds" : "which is running";
            throw new SnapshotException(attachment.Boot ? ErrorIds.VmNotStopped : ErrorIds.VolumeInUse, ErrorKind.Conflict,
                $"Volume '{volume.Name}' is {(attachment.Boot ? "the boot volume" : "in use")} of VM '{vm.Name}', {why}, and cannot be {verb}. Stop it first: Stop-VmInstance {vm.Name}{(state == VmState.Suspended ? " -TurnOff" : "")}", volume.Name);
        }
    }

    /// <summary>Refuses when the volume is part of a snapshot of this VM, or of any.</summary>
    public static void RequireNotInVmSnapshot(EngineContext context, VolumeRow volume, long? vmId, string verb)
    {
        foreach (var part in context.Catalog.Snapshots.OfVolume(volume.Id))
        {
            if (part.VmSnapshotId is not { } id) continue;
            var whole = context.Catalog.Snapshots.Get(id);
            if (vmId is not null && whole.VmId != vmId) continue;
            string vm = context.Catalog.Machines.Get(whole.VmId).Name;
            throw new SnapshotException(ErrorIds.VolumeInSnapshot, ErrorKind.Conflict,
                $"Volume '{volume.Name}' is in snapshot '{whole.Name}' and cannot be {verb}. Remove the snapshot first: Remove-VmSnapshot {vm} {whole.Name}", volume.Name);
        }
    }
}
