using SnapshotTools.IO;
using SnapshotTools.Qemu.Machines;
using SnapshotTools.Qemu.Memory;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu.Live;

/// <summary>
/// Takes the memory of a running machine and switches its disks at the same instant: between the two the guest executes
/// nothing.
/// </summary>
public sealed class Checkpoint
{
    private readonly CheckpointWork _work;
    private readonly IBlockFile _target;

    private Checkpoint(CheckpointWork work, IBlockFile target) => (_work, _target) = (work, target);

    private Migration Migration => _work.Migration;

    /// <summary>Takes a checkpoint. When the call returns the instant is past and the guest runs on (or stands, if it stood before).</summary>
    /// <param name="machine">The machine.</param>
    /// <param name="disks">The heads that it is to go on with; prepared, not yet switched.</param>
    /// <param name="target">A new file for the memory, which must stay open until <see cref="CheckpointResult.Completion"/>.</param>
    /// <param name="maxPause">Gives up when the guest would stand for longer.</param>
    /// <param name="isLast">Whether the guest goes no further: it is left standing, its memory and disks at one instant, to be turned off. Not in the background.</param>
    /// <param name="method">How; null takes the first that works of background, precopy. Without hardware acceleration the guest stands instead of precopy.</param>
    /// <param name="cancellation">Gives up before the instant; afterwards it is not looked at.</param>
    /// <exception cref="PauseTooLongException">As <paramref name="maxPause"/> says.</exception>
    /// <exception cref="QmpException">QEMU refused. The guest runs on, the disks are not switched.</exception>
    /// <exception cref="MigrationException">QEMU failed. The guest runs on, the disks are not switched.</exception>
    /// <exception cref="GuestStandsException">QEMU failed, and does not let the guest go on.</exception>
    public static async Task<CheckpointResult> TakeAsync(
        QemuMachine machine, DiskSwitch disks, IBlockFile target, TimeSpan? maxPause = null, MemoryMethod? method = null, bool isLast = false, CancellationToken cancellation = default)
    {
        // In other states (such as before its first instruction, or after an I/O error) QEMU 7.2 aborts.
        string state = await machine.QueryRunStateAsync(cancellation).ConfigureAwait(false);
        if (state is not ("running" or "paused"))
            throw new MigrationException($"The memory of a machine can be saved while it runs or is paused; this one is in state '{state}'.");
        bool wasRunning = state == "running";
        var work = new CheckpointWork(machine, disks, new GuestPause(maxPause, isLimited: wasRunning && !isLast)) { WasRunning = wasRunning, IsLast = isLast };
        try
        {
            return await new Checkpoint(work, target).TakeAsync(method, cancellation).ConfigureAwait(false);
        }
        catch
        {
            work.Dispose();
            throw;
        }
    }

    private async Task<CheckpointResult> TakeAsync(MemoryMethod? wanted, CancellationToken cancellation)
    {
        var header = new MemoryImageHeader(
            _work.Machine.Version.ToString(), await _work.Machine.QueryMachineTypeAsync(cancellation).ConfigureAwait(false), DateTimeOffset.UtcNow);
        var (method, reason) = await ChooseAsync(wanted, cancellation).ConfigureAwait(false);
        await Migration.SetParametersAsync(_work.Pause.Limit ?? TimeSpan.FromMilliseconds(100), cancellation).ConfigureAwait(false);
        bool prepares = method == MemoryMethod.Background && BackgroundCheckpoint.CanPrepare(_work.Machine);
        var (pipe, address) = await Migration.OpenForSavingAsync(isFull: prepares, cancellation).ConfigureAwait(false);
        var background = new BackgroundCheckpoint(_work, pipe, address);
        // Beside the pause, and begun before it: whoever reads keeps QEMU from waiting.
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var saving = Task.Run(async () => await MemoryImage.WriteAsync(await pipe.OpenAsync().ConfigureAwait(false), _target, header, () => ended.Task, () => background.IsAbandoned).ConfigureAwait(false), CancellationToken.None);
        try
        {
            cancellation.ThrowIfCancellationRequested();
            if (method == MemoryMethod.Background) await background.TakeAsync(cancellation).ConfigureAwait(false);
            else method = await new PrecopyCheckpoint(_work, address).TakeAsync(method, cancellation).ConfigureAwait(false);
            var pause = _work.Pause.Elapsed;
            var completion = CompleteAsync(pipe, saving, ended);
            return new CheckpointResult(pause, method, reason, completion) { Settled = SettleAsync(method, completion) };
        }
        catch (Exception e)
        {
            bool isLost = e is QmpTimeoutException && _work.WasRunning
                && !await StandingGuest.SetGoingAsync(_work.Monitor.Endpoint, _work.Machine.Process, CheckpointWork.RescueLimit).ConfigureAwait(false);
            pipe.Release();
            await Migration.ForgetPipeAsync().ConfigureAwait(false);
            ended.TrySetException(e);
            await Migration.DrainAsync(saving).ConfigureAwait(false);
            await EndAsync(pipe).ConfigureAwait(false);
            if (isLost && _work.Machine.Process is not { IsAlive: false }) throw new GuestStandsException(e);
            throw;
        }
    }

    private async Task<(MemoryMethod Method, string? Reason)> ChooseAsync(MemoryMethod? wanted, CancellationToken cancellation)
    {
        string? reason = null;
        if (wanted is null or MemoryMethod.Background)
        {
            try
            {
                await Migration.SetCapabilitiesAsync(Migration.BackgroundSnapshot, cancellation).ConfigureAwait(false);
                return (MemoryMethod.Background, null);
            }
            catch (QmpException e) when (wanted is null)
            {
                (wanted, reason) = (MemoryMethod.Precopy, e.Description);
            }
        }
        await Migration.SetCapabilitiesAsync(Migration.PauseBeforeSwitchover, cancellation).ConfigureAwait(false);
        if (wanted != MemoryMethod.Precopy || await Migration.IsTrackingSoundAsync(cancellation).ConfigureAwait(false)) return (wanted.Value, reason);
        return (MemoryMethod.Stopped, $"{(reason is null ? "" : reason.TrimEnd('.') + "; ")}without hardware acceleration QEMU loses track of what the guest changes meanwhile");
    }

    private async Task<MemoryImageSize> CompleteAsync(SavingPipe pipe, Task<MemoryImageSize> saving, TaskCompletionSource ended)
    {
        try
        {
            await Migration.WaitForCompletionAsync(_work.Events, null, CancellationToken.None).ConfigureAwait(false);
            ended.TrySetResult();
            return await saving.ConfigureAwait(false);
        }
        catch (Exception e)
        {
            ended.TrySetException(e);
            if (e is MigrationException) await TryCancelAsync().ConfigureAwait(false);   // it may have stopped moving, not ended
            Migration.ReleasePages();
            await Migration.DrainAsync(saving).ConfigureAwait(false);
            throw;
        }
        finally
        {
            await EndAsync(pipe).ConfigureAwait(false);
        }
    }

    /// <summary>QEMU takes the protection away page by page, which splits the guest's huge pages.</summary>
    private async Task SettleAsync(MemoryMethod method, Task completion)
    {
        await completion.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ForceYielding);
        if (method == MemoryMethod.Background && _work.Machine.Process is { } process)
            await Task.Factory.StartNew(() => HugePages.Restore(process), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).ConfigureAwait(false);
    }

    private async Task TryCancelAsync()
    {
        try
        {
            await Migration.CancelAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is QmpException or QmpDisconnectedException or MigrationException)
        {
        }
    }

    private async Task EndAsync(SavingPipe pipe)
    {
        _work.Dispose();
        await pipe.DisposeAsync().ConfigureAwait(false);
        try
        {
            await Migration.SetCapabilitiesAsync(null, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (e is QmpException or QmpDisconnectedException)
        {
        }
    }
}
