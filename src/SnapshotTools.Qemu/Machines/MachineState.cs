namespace SnapshotTools.Qemu.Machines;

/// <summary>What a machine is doing (QEMU's RunState, put together as far as it matters).</summary>
public enum MachineState
{
    /// <summary>Its processors run.</summary>
    Running,

    /// <summary>Its processors stand still; all else is there.</summary>
    Paused,

    /// <summary>The guest put itself to sleep (ACPI S3).</summary>
    GuestSuspended,

    /// <summary>Waits for a saved memory, or is taking it in.</summary>
    AwaitingMemory,

    /// <summary>The guest has shut down; QEMU was told to stay.</summary>
    ShutDown,

    /// <summary>The guest panicked, or QEMU met something it cannot go on from.</summary>
    Crashed,

    /// <summary>There is a process of QEMU, and it does not say what it is doing.</summary>
    Silent,

    /// <summary>There is no process of QEMU.</summary>
    Gone,
}
