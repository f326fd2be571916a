using System.Diagnostics;
using SnapshotTools.Qemu.Launch;
using SnapshotTools.Qemu.Memory;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu.Live;

/// <summary>Sets a guest going again that an operation on it left standing: one that was killed, or whose connection failed.</summary>
public static class StandingGuest
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>
    /// Ends a saving of the memory that nobody reads any more, takes away its write protection, and lets the processors run.
    /// Only for a machine that ran before the operation.
    /// </summary>
    /// <param name="monitor">The machine's QMP monitor; nobody may be connected to it.</param>
    /// <param name="process">The process of QEMU, where it is known.</param>
    /// <param name="limit">How long to try.</param>
    /// <returns>Whether the guest runs.</returns>
    public static async Task<bool> SetGoingAsync(QmpEndpoint monitor, ProcessIdentity? process, TimeSpan limit)
    {
        for (long begun = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(begun) < limit; await Task.Delay(100).ConfigureAwait(false))
        {
            // QEMU itself may stand at a protected page, and answers nothing until that is gone.
            if (process is not null) WriteProtection.Release(process);
            try
            {
                var client = await QmpClient.ConnectAsync(monitor, Patience).ConfigureAwait(false);
                await using (client.ConfigureAwait(false))
                {
                    client.CommandTimeout = Patience;
                    if (!await TryAsync(client).ConfigureAwait(false)) continue;
                }
                // A saving that was only on its way to protect the pages has done so by its end.
                if (process is not null) WriteProtection.Release(process);
                return true;
            }
            catch (Exception e) when (e is QmpDisconnectedException or QmpException or QmpProtocolException)
            {
                if (process is { IsAlive: false }) return false;
            }
        }
        return false;
    }

    /// <summary>Lets the processors run, over a connection that is held. QEMU refuses while another program has an image that it takes back, which may be for a moment.</summary>
    /// <param name="monitor">The connection.</param>
    /// <param name="limit">How long to try.</param>
    /// <exception cref="QmpException">It refused until then.</exception>
    internal static async Task ContinueAsync(QmpClient monitor, TimeSpan limit)
    {
        for (long begun = Stopwatch.GetTimestamp(); ; await Task.Delay(100).ConfigureAwait(false))
        {
            try
            {
                await monitor.ExecuteAsync("cont", cancellation: CancellationToken.None).ConfigureAwait(false);
                return;
            }
            catch (QmpException) when (Stopwatch.GetElapsedTime(begun) < limit)
            {
            }
        }
    }

    private static async Task<bool> TryAsync(QmpClient client)
    {
        await client.ExecuteAsync("migrate_cancel").ConfigureAwait(false);
        string migration = (await client.ExecuteAsync("query-migrate").ConfigureAwait(false)).TextOf("status") ?? "none";
        if (migration is not ("none" or "completed" or "failed" or "cancelled")) return false;
        string state = (await client.ExecuteAsync("query-status").ConfigureAwait(false)).TextOf("status") ?? "";
        if (state is "paused" or "postmigrate" or "finish-migrate") await client.ExecuteAsync("cont").ConfigureAwait(false);
        return state is "paused" or "postmigrate" or "running";
    }
}
