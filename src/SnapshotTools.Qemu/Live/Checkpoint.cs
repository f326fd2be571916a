using System.Diagnostics;
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
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(1);    // then something is wrong
    private static readonly TimeSpan RescueLimit = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(5);
    private static readonly Version LeavesStanding = new(8, 2);
    private const int PrecopyRounds = 5;

    private readonly QemuMachine _machine;
    private readonly DiskSwitch _disks;
    private readonly IBlockFile _target;
    private readonly TimeSpan? _maxPause;
    private readonly Migration _migration;
    private readonly QmpEventWatch _events;
    private readonly bool _wasRunning;
    private bool _isLast;
    private volatile bool _isAbandoned;
    private SavingPipe _pipe = null!;
    private string _address = "";
    private MemoryImageHeader _header = null!;
    private long _stoppedAt;
    private long? _runsAgainAt;     // as QEMU's own word for it came in

    private Checkpoint(QemuMachine machine, DiskSwitch disks, IBlockFile target, TimeSpan? maxPause, bool wasRunning)
    {
        (_machine, _disks, _target, _maxPause, _wasRunning) = (machine, disks, target, maxPause, wasRunning);
        _migration = new Migration(machine);
        _events = machine.Monitor.Watch("STOP", "RESUME", "MIGRATION");
    }

    private QmpClient Monitor => _machine.Monitor;

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
    public static async Task<CheckpointResult> TakeAsync(
        QemuMachine machine, DiskSwitch disks, IBlockFile target, TimeSpan? maxPause = null, MemoryMethod? method = null, bool isLast = false, CancellationToken cancellation = default)
    {
        // In other states (such as before its first instruction, or after an I/O error) QEMU 7.2 aborts.
        string state = await machine.QueryRunStateAsync(cancellation).ConfigureAwait(false);
        if (state is not ("running" or "paused"))
            throw new MigrationException($"The memory of a machine can be saved while it runs or is paused; this one is in state '{state}'.");
        var checkpoint = new Checkpoint(machine, disks, target, maxPause, state == "running") { _isLast = isLast };
        try
        {
            return await checkpoint.TakeAsync(method, cancellation).ConfigureAwait(false);
        }
        catch
        {
            checkpoint._events.Dispose();
            throw;
        }
    }

    private async Task<CheckpointResult> TakeAsync(MemoryMethod? wanted, CancellationToken cancellation)
    {
        _header = new MemoryImageHeader(
            _machine.Version.ToString(), await _machine.QueryMachineTypeAsync(cancellation).ConfigureAwait(false), DateTimeOffset.UtcNow);
        var (method, reason) = await ChooseAsync(wanted, cancellation).ConfigureAwait(false);
        await _migration.SetParametersAsync(_maxPause ?? TimeSpan.FromMilliseconds(100), cancellation).ConfigureAwait(false);
        // From 8.2 on QEMU's main loop is held while it prepares, and would not hear that the guest is to stand.
        bool prepares = method == MemoryMethod.Background && _machine.Version < LeavesStanding;
        (_pipe, _address) = await _migration.OpenForSavingAsync(isFull: prepares, cancellation).ConfigureAwait(false);
        // Beside the pause, and begun before it: whoever reads keeps QEMU from waiting.
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var saving = Task.Run(async () => await MemoryImage.WriteAsync(await _pipe.OpenAsync().ConfigureAwait(false), _target, _header, () => ended.Task, () => _isAbandoned).ConfigureAwait(false), CancellationToken.None);
        try
        {
            cancellation.ThrowIfCancellationRequested();
            if (method == MemoryMethod.Background) await TakeInBackgroundAsync(cancellation).ConfigureAwait(false);
            else method = await TakeByPrecopyAsync(method, cancellation).ConfigureAwait(false);
            var pause = Stopwatch.GetElapsedTime(_stoppedAt, _runsAgainAt ?? Stopwatch.GetTimestamp());
            var completion = CompleteAsync(saving, ended);
            return new CheckpointResult(pause, method, reason, completion) { Settled = SettleAsync(method, completion) };
        }
        catch (Exception e)
        {
            if (e is QmpTimeoutException && _wasRunning) await StandingGuest.SetGoingAsync(Monitor.Endpoint, _machine.Process, RescueLimit).ConfigureAwait(false);
            _pipe.Release();
            await _migration.ForgetPipeAsync().ConfigureAwait(false);
            ended.TrySetException(e);
            await Migration.DrainAsync(saving).ConfigureAwait(false);
            await EndAsync().ConfigureAwait(false);
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
                await _migration.SetCapabilitiesAsync(Migration.BackgroundSnapshot, cancellation).ConfigureAwait(false);
                return (MemoryMethod.Background, null);
            }
            catch (QmpException e) when (wanted is null)
            {
                (wanted, reason) = (MemoryMethod.Precopy, e.Description);
            }
        }
        await _migration.SetCapabilitiesAsync(Migration.PauseBeforeSwitchover, cancellation).ConfigureAwait(false);
        if (wanted != MemoryMethod.Precopy || await _migration.IsTrackingSoundAsync(cancellation).ConfigureAwait(false)) return (wanted.Value, reason);
        return (MemoryMethod.Stopped, $"{(reason is null ? "" : reason.TrimEnd('.') + "; ")}without hardware acceleration QEMU loses track of what the guest changes meanwhile");
    }

    /// <summary>
    /// Stop, switch, migrate: QEMU saves the devices, write-protects the pages and lets the guest run on, all by itself. The
    /// disks are switched before, since nothing can be between the last two. What QEMU prepares first, such as going through all pages so that
    /// there is something to protect, it does while the guest still runs: then it waits for a pipe that is full.
    /// </summary>
    private async Task TakeInBackgroundAsync(CancellationToken cancellation)
    {
        bool migrating = false;
        try
        {
            if (_pipe.IsFull)
            {
                migrating = true;
                await _migration.StartAsync(_address).ConfigureAwait(false);
                await _migration.WaitUntilPreparedAsync(cancellation).ConfigureAwait(false);
            }
            _stoppedAt = Stopwatch.GetTimestamp();
            await Monitor.ExecuteAsync("stop", cancellation: CancellationToken.None).ConfigureAwait(false);
            LiveSteps.Reached("the guest stands");
            CheckPause();
            await _disks.CommitAsync().ConfigureAwait(false);
            CheckPause();
            if (_pipe.IsFull)
            {
                _pipe.Release();
            }
            else
            {
                migrating = true;
                await _migration.StartAsync(_address).ConfigureAwait(false);
            }
            LiveSteps.Reached("the memory is being saved");
            await WaitUntilProtectedAsync().ConfigureAwait(false);
            LiveSteps.Reached("the memory is protected");
        }
        catch (Exception e) when (e is not QmpDisconnectedException)
        {
            if (migrating) await AbandonAsync().ConfigureAwait(false);
            await Monitor.ExecuteAsync("stop", cancellation: CancellationToken.None).ConfigureAwait(false);
            await _disks.UndoAsync().ConfigureAwait(false);
            if (_wasRunning) await Monitor.ExecuteAsync("cont", cancellation: CancellationToken.None).ConfigureAwait(false);
            throw;
        }
        if (!_wasRunning) await Monitor.ExecuteAsync("stop", cancellation: CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>
    /// Lets QEMU save to nobody. Cancelled, QEMU 7.2 would take the pages for protected ever after, and fail every later saving with the guest standing.
    /// </summary>
    private async Task AbandonAsync()
    {
        _isAbandoned = true;
        _pipe.Release();
        try
        {
            await _migration.WaitForCompletionAsync(_events, null, CancellationToken.None).ConfigureAwait(false);
        }
        catch (MigrationException)
        {
            await _migration.CancelAsync().ConfigureAwait(false);
        }
    }

    /// <summary>
    /// Waits until the pages are write-protected and the guest runs. QEMU before 8.2 starts every machine then, and says so; to ask it
    /// meanwhile would make its main loop wait for pages. Later ones leave one standing that stood, and that must not go on before
    /// pages flow: they do only once all are protected.
    /// </summary>
    private async Task WaitUntilProtectedAsync()
    {
        bool isSetGoing = _machine.Version < LeavesStanding;
        while (true)
        {
            QmpEvent? happened = null;
            using var look = new CancellationTokenSource(LookInterval);
            try
            {
                happened = await _events.NextAsync(e => e.Name is "RESUME" or "MIGRATION", look.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                CheckPause();
            }
            if (happened?.Name == "RESUME")
            {
                _runsAgainAt = happened.ReceivedAt;
                return;
            }
            bool hasEnded = happened?.Data.TextOf("status") is "failed" or "cancelled" or "completed";
            if (isSetGoing && !hasEnded) continue;
            var status = await _migration.QueryAsync(CancellationToken.None).ConfigureAwait(false);
            if (status.Status is "failed" or "cancelled") throw new MigrationException($"QEMU could not save the memory: {status.Error ?? status.Status}.");
            if (status.Pages == 0 || isSetGoing) continue;
            await Monitor.ExecuteAsync("cont", cancellation: CancellationToken.None).ConfigureAwait(false);
            isSetGoing = true;
        }
    }

    /// <summary>
    /// Memory first, with the guest running or standing; QEMU stops it for the rest and waits; the disks are switched there;
    /// then it saves the devices.
    /// </summary>
    private async Task<MemoryMethod> TakeByPrecopyAsync(MemoryMethod method, CancellationToken cancellation)
    {
        _stoppedAt = Stopwatch.GetTimestamp();
        if (method == MemoryMethod.Stopped) await Monitor.ExecuteAsync("stop", cancellation: CancellationToken.None).ConfigureAwait(false);
        bool migrating = false;
        try
        {
            migrating = true;
            await _migration.StartAsync(_address).ConfigureAwait(false);
            method = await WaitForSwitchoverAsync(method, cancellation).ConfigureAwait(false);
            CheckPause();
            await _disks.CommitAsync().ConfigureAwait(false);
            await Monitor.ExecuteAsync("migrate-continue", new() { ["state"] = "pre-switchover" }, CancellationToken.None).ConfigureAwait(false);
            await _migration.WaitForCompletionAsync(_events, null, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (e is not QmpDisconnectedException)
        {
            if (migrating) await _migration.CancelAsync().ConfigureAwait(false);
            await _disks.UndoAsync().ConfigureAwait(false);
            if (_wasRunning) await Monitor.ExecuteAsync("cont", cancellation: CancellationToken.None).ConfigureAwait(false);
            throw;
        }
        if (_isLast) return method;
        // The images were handed over, to nobody; going on takes them back.
        await Monitor.ExecuteAsync("cont", cancellation: CancellationToken.None).ConfigureAwait(false);
        if (!_wasRunning) await Monitor.ExecuteAsync("stop", cancellation: CancellationToken.None).ConfigureAwait(false);
        return method;
    }

    private async Task<MemoryMethod> WaitForSwitchoverAsync(MemoryMethod method, CancellationToken cancellation)
    {
        while (true)
        {
            using var look = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            look.CancelAfter(LookInterval * 10);
            try
            {
                var happened = await _events.NextAsync(e => e.Name is "STOP" or "MIGRATION", look.Token).ConfigureAwait(false);
                if (happened.Name == "STOP" && method == MemoryMethod.Precopy) _stoppedAt = happened.ReceivedAt;
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
            }
            var status = await _migration.QueryAsync(cancellation).ConfigureAwait(false);
            if (status.Status == "pre-switchover") return method;
            if (status.IsOver) throw new MigrationException($"QEMU could not save the memory: {status.Error ?? status.Status}.");
            if (method == MemoryMethod.Stopped) CheckPause();
            if (method != MemoryMethod.Precopy || status.Rounds <= PrecopyRounds) continue;
            // The guest changes its memory faster than it is saved.
            if (_maxPause is { } limit) throw new PauseTooLongException(limit, limit);
            method = MemoryMethod.Stopped;
            _stoppedAt = Stopwatch.GetTimestamp();
            await Monitor.ExecuteAsync("stop", cancellation: CancellationToken.None).ConfigureAwait(false);
        }
    }

    private void CheckPause()
    {
        var reached = Stopwatch.GetElapsedTime(_stoppedAt);
        var limit = _maxPause ?? LongestPause;
        if (_wasRunning && !_isLast && reached > limit) throw new PauseTooLongException(limit, reached);
    }

    private async Task<MemoryImageSize> CompleteAsync(Task<MemoryImageSize> saving, TaskCompletionSource ended)
    {
        try
        {
            await _migration.WaitForCompletionAsync(_events, null, CancellationToken.None).ConfigureAwait(false);
            ended.TrySetResult();
            return await saving.ConfigureAwait(false);
        }
        catch (Exception e)
        {
            ended.TrySetException(e);
            if (e is MigrationException) await TryCancelAsync().ConfigureAwait(false);   // it may have stopped moving, not ended
            _migration.ReleasePages();
            await Migration.DrainAsync(saving).ConfigureAwait(false);
            throw;
        }
        finally
        {
            await EndAsync().ConfigureAwait(false);
        }
    }

    /// <summary>QEMU takes the protection away page by page, which splits the guest's huge pages.</summary>
    private async Task SettleAsync(MemoryMethod method, Task completion)
    {
        await completion.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ForceYielding);
        if (method == MemoryMethod.Background && _machine.Process is { } process)
            await Task.Factory.StartNew(() => HugePages.Restore(process), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).ConfigureAwait(false);
    }

    private async Task TryCancelAsync()
    {
        try
        {
            await _migration.CancelAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is QmpException or QmpDisconnectedException or MigrationException)
        {
        }
    }

    private async Task EndAsync()
    {
        _events.Dispose();
        await _pipe.DisposeAsync().ConfigureAwait(false);
        try
        {
            await _migration.SetCapabilitiesAsync(null, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (e is QmpException or QmpDisconnectedException)
        {
        }
    }
}
