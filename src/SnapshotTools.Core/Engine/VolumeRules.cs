using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine;

/// <summary>Rules about volumes that several commands check.</summary>
internal static class VolumeRules
{
    /// <summary>Refuses to change a volume while a VM that has it is in state Error.</summary>
    public static void RequireNoError(EngineContext context, VolumeRow volume)
    {
        foreach (string vm in context.Catalog.Volumes.AttachedTo(volume.Id)) VmRules.RequireNoError(context.ResolveVm(vm));
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
