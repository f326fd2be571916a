using SnapshotTools.Qemu.Machines;
using SnapshotTools.Qemu.Memory;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu.Live;

/// <summary>What a checkpoint works with, whichever way the memory is saved.</summary>
internal sealed class CheckpointWork(QemuMachine machine, DiskSwitch disks, GuestPause pause) : IDisposable
{
    /// <summary>How long to try to set a guest going that was left standing.</summary>
    public static readonly TimeSpan RescueLimit = TimeSpan.FromSeconds(20);

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

    /// <summary>
    /// Takes back what a checkpoint that failed has done, and lets the guest go on whatever comes of that: a new head that stays in use reads right over
    /// the old one, and is found there. What fails on the way is not told, since why the checkpoint failed is.
    /// </summary>
    /// <exception cref="GuestStandsException">The guest does not go on.</exception>
    public async Task TakeBackAsync(Exception failure, Func<Task> endSaving)
    {
        try
        {
            await endSaving().ConfigureAwait(false);
            await Disks.UndoAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is not QmpDisconnectedException)
        {
        }
        if (WasRunning) await ContinueAsync(failure).ConfigureAwait(false);
    }

    /// <summary>Lets the guest go on.</summary>
    /// <param name="failure">What failed before; null when nothing did.</param>
    /// <exception cref="GuestStandsException">It does not.</exception>
    public async Task ContinueAsync(Exception? failure = null)
    {
        try
        {
            await StandingGuest.ContinueAsync(Monitor, RescueLimit).ConfigureAwait(false);
        }
        catch (QmpException refused)
        {
            throw new GuestStandsException(refused, failure);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Events.Dispose();
}
