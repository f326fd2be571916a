using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Power;

/// <summary>
/// What a session leaves that is killed while it starts a VM from its memory. The memory is forgotten before the guest's first instruction,
/// so a machine that stands while the catalog still has the memory has not run, and counts as none: it is turned off, and the VM is as suspended as before.
/// </summary>
internal static class InterruptedStart
{
    /// <summary>Whether the machine of a VM is such a one.</summary>
    public static bool IsLeft(EngineContext context, VmRow vm) => vm.SuspendedMemory is not null && context.Compute?.StateOf(vm.Uid) is VmState.Paused;

    /// <summary>Turns it off. The VM's lock is held.</summary>
    public static void Settle(EngineContext context, long vmId)
    {
        if (context.Compute is not { } compute || context.Catalog.Machines.Find(vmId) is not { SuspendedMemory: not null } vm) return;
        try
        {
            context.About(vm, () =>
            {
                using var machine = compute.Find(vm.Uid);
                if (machine?.State is VmState.Paused) machine.Stop(turnOff: true, TimeSpan.Zero, CancellationToken.None);
                // Somebody let it go on past us: its disks have left the memory behind.
                else if (machine?.State is VmState.Running) StartVm.ForgetMemory(context, vm);
                return true;
            });
        }
        catch (SnapshotException error) when (error.ErrorId == ErrorIds.VmNotResponding)
        {
            // Whether it stands or has gone on, it cannot say. It counts as running, until somebody turns it off or it answers.
        }
    }
}
