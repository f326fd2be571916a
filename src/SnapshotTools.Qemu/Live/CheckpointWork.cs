using SnapshotTools.Qemu.Machines;
using SnapshotTools.Qemu.Memory;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu.Live;

/// <summary>What a checkpoint works with, whichever way the memory is saved.</summary>
internal sealed class CheckpointWork(QemuMachine machine, DiskSwitch disks, GuestPause pause) : IDisposable
{
    public QemuMachine Machine => machine;

    public QmpClient Monitor => machine.Monitor;

    /// <summary>The heads that the machine is to go on with.</summary>
    public DiskSwitch Disks => disks;

    public GuestPause Pause => pause;

    public Migration Migration { get; } = new(machine);

    /// <summary>What QEMU has said of the guest and of the saving since the beginning.</summary>
    public QmpEventWatch Events { get; } = machine.Monitor.Watch("STOP", "RESUME", "MIGRATION");

    public required bool WasRunning { get; init; }

    /// <summary>Whether the guest is left standing.</summary>
    public required bool IsLast { get; init; }

    /// <inheritdoc/>
    public void Dispose() => Events.Dispose();
}
