using SnapshotTools.Core;
using SnapshotTools.Qemu.Machines;

namespace SnapshotTools.Qemu;

/// <summary>What a machine is doing, in the engine's words.</summary>
internal static class VmStates
{
    public static VmState ToVmState(this MachineState state) => state switch
    {
        MachineState.Gone => VmState.Stopped,
        MachineState.Running or MachineState.GuestSuspended or MachineState.Silent => VmState.Running,
        _ => VmState.Paused,
    };
}
