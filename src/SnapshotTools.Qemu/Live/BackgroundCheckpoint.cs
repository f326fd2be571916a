using SnapshotTools.Qemu.Machines;
using SnapshotTools.Qemu.Memory;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu.Live;

/// <summary>Write-protects the memory at one instant; it is saved while the guest runs on.</summary>
internal sealed class BackgroundCheckpoint(CheckpointWork work, SavingPipe pipe, string address)
{
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(5);
    private static readonly Version LeavesStanding = new(8, 2);

    private volatile bool _isAbandoned;

    /// <summary>Whether what is saved is not wanted any more.</summary>
    public bool IsAbandoned => _isAbandoned;

    /// <summary>Whether QEMU can prepare while the guest runs. From 8.2 on its main loop is held meanwhile, and would not hear that the guest is to stand.</summary>
    public static bool CanPrepare(QemuMachine machine) => machine.Version < LeavesStanding;

    /// <summary>
    /// Stop, switch, migrate: QEMU saves the devices, write-protects the pages and lets the guest run on, all by itself. The
    /// disks are switched before, since nothing can be between the last two. What QEMU prepares first, such as going through all pages so that
    /// there is something to protect, it does while the guest still runs: then it waits for a pipe that is full.
    /// </summary>
    public async Task TakeAsync(CancellationToken cancellation)
    {
        bool migrating = false;
        try
        {
            if (pipe.IsFull)
            {
                migrating = true;
                await work.Migration.StartAsync(address).ConfigureAwait(false);
                await work.Migration.WaitUntilPreparedAsync(cancellation).ConfigureAwait(false);
            }
            work.Pause.Begin();
            await work.Monitor.ExecuteAsync("stop", cancellation: CancellationToken.None).ConfigureAwait(false);
            LiveSteps.Reached("the guest stands");
            work.Pause.Check();
            await work.Disks.CommitAsync().ConfigureAwait(false);
            work.Pause.Check();
            if (pipe.IsFull)
            {
                pipe.Release();
            }
            else
            {
                migrating = true;
                await work.Migration.StartAsync(address).ConfigureAwait(false);
            }
            LiveSteps.Reached("the memory is being saved");
            await WaitUntilProtectedAsync().ConfigureAwait(false);
            LiveSteps.Reached("the memory is protected");
        }
        catch (Exception e) when (e is not QmpDisconnectedException)
        {
            await work.TakeBackAsync(e, async () =>
            {
                if (migrating) await AbandonAsync().ConfigureAwait(false);
                await work.Monitor.ExecuteAsync("stop", cancellation: CancellationToken.None).ConfigureAwait(false);
            }).ConfigureAwait(false);
            throw;
        }
        if (!work.WasRunning) await work.Monitor.ExecuteAsync("stop", cancellation: CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>
    /// Lets QEMU save to nobody. Cancelled, QEMU 7.2 would take the pages for protected ever after, and fail every later saving with the guest standing.
    /// </summary>
    private async Task AbandonAsync()
    {
        _isAbandoned = true;
        pipe.Release();
        try
        {
            await work.Migration.WaitForCompletionAsync(work.Events, null, CancellationToken.None).ConfigureAwait(false);
        }
        catch (MigrationException)
        {
            await work.Migration.CancelAsync().ConfigureAwait(false);
        }
    }

    /// <summary>
    /// Waits until the pages are write-protected and the guest runs. QEMU before 8.2 starts every machine then, and says so; to ask it
    /// meanwhile would make its main loop wait for pages. Later ones leave one standing that stood, and that must not go on before
    /// pages flow: they do only once all are protected.
    /// </summary>
    private async Task WaitUntilProtectedAsync()
    {
        bool isSetGoing = work.Machine.Version < LeavesStanding;
        while (true)
        {
            QmpEvent? happened = null;
            using var look = new CancellationTokenSource(LookInterval);
            try
            {
                happened = await work.Events.NextAsync(e => e.Name is "RESUME" or "MIGRATION", look.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                work.Pause.Check();
            }
            if (happened?.Name == "RESUME")
            {
                work.Pause.End(happened.ReceivedAt);
                return;
            }
            bool hasEnded = happened?.Data.TextOf("status") is "failed" or "cancelled" or "completed";
            if (isSetGoing && !hasEnded) continue;
            var status = await work.Migration.QueryAsync(CancellationToken.None).ConfigureAwait(false);
            if (status.Status is "failed" or "cancelled") throw new MigrationException($"QEMU could not save the memory: {status.Error ?? status.Status}.");
            if (status.Pages == 0 || isSetGoing) continue;
            await work.Monitor.ExecuteAsync("cont", cancellation: CancellationToken.None).ConfigureAwait(false);
            isSetGoing = true;
        }
    }
}
