using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Snapshots;

namespace SnapshotTools.Core.Engine.Power;

/// <summary>The memory that a suspended VM goes on from belongs to its disks as they were when it was saved.</summary>
internal static class SuspendedDisks
{
    /// <summary>
    /// Refuses to set the memory of a VM over disks that were written to since, past SnapshotTools: the guest would overwrite what it does not know of. What
    /// lies over the checkpoint's layers is empty until then. Of a checkpoint that was removed nothing tells any more which layers were its.
    /// </summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.MemoryOutdated"/></exception>
    public static void RequireUntouched(EngineContext context, VmRow vm)
    {
        if (vm.SuspendedMemory is not { } memory || context.Catalog.Snapshots.FindByMemory(vm.Id, memory) is not { } checkpoint) return;
        if (CheckpointMemory.MissingDisks(context, checkpoint) is { Count: > 0 } missing)
            throw new SnapshotException(ErrorIds.MemoryOutdated, ErrorKind.Conflict,
                $"VM '{vm.Name}' is suspended with the memory of checkpoint '{checkpoint.Name}', which belongs to {string.Join(", ", missing)} too, and those are not as they were then. Nothing was started. Boot from the disks as they are: Stop-VmInstance {vm.Name} -TurnOff, then Start-VmInstance {vm.Name}", vm.Name);
        foreach (var part in context.Catalog.Snapshots.OfVmSnapshot(checkpoint.Id))
        {
            var volume = context.Catalog.Volumes.Get(part.VolumeId);
            var chain = context.Catalog.Layers.Chain(volume.HeadId);
            int saved = chain.FindIndex(l => l.Id == part.LayerId);
            if (saved < 0 || chain.Take(saved).All(l => context.Storage.IsEmpty(l.File))) continue;
            throw new SnapshotException(ErrorIds.MemoryOutdated, ErrorKind.Conflict,
                $"VM '{vm.Name}' is suspended with the memory of checkpoint '{checkpoint.Name}', but something other than SnapshotTools has written to volume '{volume.Name}' since, so that the two do not fit. Nothing was started. Return to the checkpoint: Restore-VmSnapshot {vm.Name} '{checkpoint.Name}'; or boot from the disks as they are: Stop-VmInstance {vm.Name} -TurnOff, then Start-VmInstance {vm.Name}", vm.Name);
        }
    }
}
