using SnapshotTools.Qemu.Memory;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu.Live;

/// <summary>Saves the memory first, again where the guest changed it, and stops the guest for the rest; or stops it for all.</summary>
internal sealed class PrecopyCheckpoint(CheckpointWork work, string address)
{
    private const int Rounds = 5;
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(50);

    /// <summary>
    /// Memory first, with the guest running or standing; QEMU stops it for the rest and waits; the disks are switched there;
    /// then it saves the devices.
    /// </summary>
    public async Task<MemoryMethod> TakeAsync(MemoryMethod method, CancellationToken cancellation)
    {
        work.Pause.Begin();
        if (method == MemoryMethod.Stopped) await work.Monitor.ExecuteAsync("stop", cancellation: CancellationToken.None).ConfigureAwait(false);
        try
        {
            await work.Migration.StartAsync(address).ConfigureAwait(false);
            method = await WaitForSwitchoverAsync(method, cancellation).ConfigureAwait(false);
            work.Pause.Check();
            await work.Disks.CommitAsync().ConfigureAwait(false);
            await work.Monitor.ExecuteAsync("migrate-continue", new() { ["state"] = "pre-switchover" }, CancellationToken.None).ConfigureAwait(false);
            await work.Migration.WaitForCompletionAsync(work.Events, null, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (e is not QmpDisconnectedException)
        {
            await work.TakeBackAsync(e, work.Migration.CancelAsync).ConfigureAwait(false);
            throw;
        }
        if (work.IsLast) return method;
        // The images were handed over, to nobody; going on takes them back.
        await work.ContinueAsync().ConfigureAwait(false);
        if (!work.WasRunning) await work.Monitor.ExecuteAsync("stop", cancellation: CancellationToken.None).ConfigureAwait(false);
        return method;
    }

    private async Task<MemoryMethod> WaitForSwitchoverAsync(MemoryMethod method, CancellationToken cancellation)
    {
        while (true)
        {
            using var look = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            look.CancelAfter(LookInterval);
            try
            {
                var happened = await work.Events.NextAsync(e => e.Name is "STOP" or "MIGRATION", look.Token).ConfigureAwait(false);
                if (happened.Name == "STOP" && method == MemoryMethod.Precopy) work.Pause.Begin(happened.ReceivedAt);
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
            }
            var status = await work.Migration.QueryAsync(cancellation).ConfigureAwait(false);
            if (status.Status == "pre-switchover")
            {
                // That the guest stands was told before that, and may still wait behind other events.
                while (work.Events.TakeNext() is { } told)
                    if (told.Name == "STOP" && method == MemoryMethod.Precopy) work.Pause.Begin(told.ReceivedAt);
                return method;
            }
            if (status.IsOver) throw new MigrationException($"QEMU could not save the memory: {status.Error ?? status.Status}.");
            if (method == MemoryMethod.Stopped) work.Pause.Check();
            if (method != MemoryMethod.Precopy || status.Rounds <= Rounds) continue;
            // The guest changes its memory faster than it is saved.
            if (work.Pause.Limit is { } limit) throw new PauseTooLongException(limit, limit);
            method = MemoryMethod.Stopped;
            work.Pause.Begin();
            await work.Monitor.ExecuteAsync("stop", cancellation: CancellationToken.None).ConfigureAwait(false);
        }
    }
}
