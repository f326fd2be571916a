using SnapshotTools.Core;
using SnapshotTools.IO;
using SnapshotTools.Qemu.Live;
using SnapshotTools.Qemu.Machines;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu;

/// <summary>A QEMU whose memory was saved, and whose guest stands since then.</summary>
internal sealed class StandingMachine : IStandingMachine
{
    private static readonly TimeSpan RescueLimit = TimeSpan.FromSeconds(20);

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
                catch
                {
                    await standing.SetGoingAsync().ConfigureAwait(false);
                    throw;
                }
            }
            LiveSteps.Reached("the machine stands, and its memory is saved");
            return standing;
        }
        catch
        {
            standing._guard?.Dispose();
            throw;
        }
    }

    public void Keep()
    {
        _guard?.Dispose();
        _guard = null;
    }

    public void End()
    {
        _isEnding = true;
        QemuCalls.Run(() => _machine.TurnOffAsync(cancellation: CancellationToken.None));
        _machine.Folder?.ForgetWords();
    }

    public void Dispose()
    {
        if (!_isEnding) QemuCalls.Run(SetGoingAsync);
        Keep();
    }

    private async Task SetGoingAsync()
    {
        try
        {
            // The images were handed over, to nobody; going on takes them back, also for a guest that stood before.
            await _machine.Monitor.ExecuteAsync("cont", cancellation: CancellationToken.None).ConfigureAwait(false);
            if (!_wasRunning) await _machine.Monitor.ExecuteAsync("stop", cancellation: CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (e is QmpException or QmpDisconnectedException)
        {
            if (_wasRunning) await StandingGuest.SetGoingAsync(_machine.Monitor.Endpoint, _machine.Process, RescueLimit).ConfigureAwait(false);
        }
    }
}
