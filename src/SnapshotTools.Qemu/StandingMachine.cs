using SnapshotTools.Core;
using SnapshotTools.IO;
using SnapshotTools.Qemu.Live;
using SnapshotTools.Qemu.Machines;
using SnapshotTools.Qemu.Memory;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu;

/// <summary>A QEMU whose memory was saved, and whose guest stands since then.</summary>
internal sealed class StandingMachine : IStandingMachine
{
    private const string Mark = "snapshottools-ran";

    private readonly QemuMachine _machine;
    private readonly bool _wasRunning;
    private GuestGuard? _guard;
    private bool _isEnding;

    private StandingMachine(QemuMachine machine, bool wasRunning, GuestGuard? guard) => (_machine, _wasRunning, _guard) = (machine, wasRunning, guard);

    public long MemoryBytes { get; private set; }

    /// <summary>Lets the guest stand and saves its memory; when that fails, it goes on.</summary>
    public static async Task<StandingMachine> SaveAsync(QemuMachine machine, IFileSystem files, string memoryFile, CancellationToken cancellation)
    {
        bool wasRunning = await machine.QueryStateAsync(cancellation).ConfigureAwait(false) == MachineState.Running;
        // Without a guard, a session that dies half-way leaves its guest standing, for Resume-VmInstance.
        var standing = new StandingMachine(machine, wasRunning, wasRunning ? (await GuestGuard.TryStartAsync(machine, cancellation).ConfigureAwait(false)).Guard : null);
        try
        {
            var disks = await DiskSwitch.PrepareAsync(machine, [], cancellation).ConfigureAwait(false);
            await using (disks.ConfigureAwait(false))
            {
                using var target = files.Create(memoryFile);
                var saved = await Checkpoint.TakeAsync(machine, disks, target, method: MemoryMethod.Stopped, isLast: true, cancellation: cancellation).ConfigureAwait(false);
                try
                {
                    standing.MemoryBytes = (await saved.Completion.ConfigureAwait(false)).FileBytes;
                }
                catch (Exception error)
                {
                    await standing.SetGoingAsync(error).ConfigureAwait(false);
                    throw;
                }
            }
            LiveSteps.Reached("the machine stands, and its memory is saved");
            return standing;
        }
        catch (Exception error)
        {
            standing.EndGuard(isGoing: error is not GuestStandsException);
            throw;
        }
    }

    public void Keep()
    {
        QemuCalls.Run(() => MarkAsync(_machine, _wasRunning));
        EndGuard(isGoing: true);    // or is not to
        LiveSteps.Reached("the machine stands, and nobody sets it going");
    }

    public void End()
    {
        _isEnding = true;
        QemuCalls.Run(() => _machine.TurnOffAsync(cancellation: CancellationToken.None));
        _machine.Folder?.ForgetWords();
    }

    public void Dispose()
    {
        bool isGoing = false;
        try
        {
            if (!_isEnding) QemuCalls.Run(() => SetGoingAsync(null));
            isGoing = true;
        }
        finally
        {
            EndGuard(isGoing);
        }
    }

    /// <summary>Lets the guest of a machine go on that <see cref="Keep"/> left standing and that ran before.</summary>
    /// <returns>False when it stands for another reason, or runs.</returns>
    public static async Task<bool> GoOnAsync(QemuMachine machine)
    {
        if (await machine.QueryRunStateAsync().ConfigureAwait(false) != "postmigrate" || !await IsMarkedAsync(machine).ConfigureAwait(false)) return false;
        await machine.Monitor.ExecuteAsync("cont", cancellation: CancellationToken.None).ConfigureAwait(false);
        await MarkAsync(machine, false).ConfigureAwait(false);
        return true;
    }

    /// <summary>QEMU itself remembers that its guest ran, as an object that does nothing: it is the only one who knows, should this session die.</summary>
    private static async Task MarkAsync(QemuMachine machine, bool ran)
    {
        try
        {
            await machine.Monitor.ExecuteAsync(
                ran ? "object-add" : "object-del", ran ? new() { ["qom-type"] = "throttle-group", ["id"] = Mark } : new() { ["id"] = Mark }, CancellationToken.None).ConfigureAwait(false);
        }
        catch (QmpException)
        {
            // It is marked already, or not at all.
        }
    }

    private static async Task<bool> IsMarkedAsync(QemuMachine machine) =>
        (await machine.Monitor.ExecuteAsync("qom-list", new() { ["path"] = "/objects" }, CancellationToken.None).ConfigureAwait(false)).ItemsOf().Any(o => o.TextOf("name") == Mark);

    private void EndGuard(bool isGoing)
    {
        if (isGoing) _guard?.Dispose();
        else _guard?.TakeOver();
        _guard = null;
    }

    /// <summary>Lets the guest go on, or stand as it did.</summary>
    /// <param name="failure">What failed before.</param>
    /// <exception cref="GuestStandsException">It does not go on.</exception>
    private async Task SetGoingAsync(Exception? failure)
    {
        try
        {
            // The images were handed over, to nobody; going on takes them back, also for a guest that stood before.
            await StandingGuest.ContinueAsync(_machine.Monitor, CheckpointWork.RescueLimit).ConfigureAwait(false);
            if (!_wasRunning) await _machine.Monitor.ExecuteAsync("stop", cancellation: CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (e is QmpException or QmpDisconnectedException)
        {
            if (!_wasRunning) return;
            // Only a connection that has ended leaves the monitor to another.
            if (e is QmpDisconnectedException && await StandingGuest.SetGoingAsync(_machine.Monitor.Endpoint, _machine.Process, CheckpointWork.RescueLimit).ConfigureAwait(false)) return;
            if (_machine.Process is { IsAlive: false }) return;
            throw new GuestStandsException(e, failure);
        }
    }
}
