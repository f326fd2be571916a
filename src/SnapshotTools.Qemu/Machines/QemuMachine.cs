using System.Buffers.Binary;
using System.Text.Json;
using System.Text.Json.Nodes;
using SnapshotTools.Core;
using SnapshotTools.Qemu.GuestAgent;
using SnapshotTools.Qemu.Launch;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu.Machines;

/// <summary>
/// A running QEMU and the connection to it. It may have been started by us or by someone else. Disposing closes the
/// connection; the machine goes on.
/// </summary>
public sealed class QemuMachine : IAsyncDisposable
{
    private static readonly TimeSpan AskAgainAfter = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan EndPatience = TimeSpan.FromSeconds(5);

    private QemuMachine(QmpClient monitor, ProcessIdentity? process, QmpEndpoint? agent, RunFolder? folder, Guid? id) =>
        (Monitor, Process, AgentEndpoint, Folder, Id) = (monitor, process, agent, folder, id);

    /// <summary>The QMP connection.</summary>
    public QmpClient Monitor { get; }

    /// <summary>The process, where it is known.</summary>
    public ProcessIdentity? Process { get; }

    /// <summary>Where the guest agent is reached; null when the machine has no channel for it that we know.</summary>
    public QmpEndpoint? AgentEndpoint { get; }

    /// <summary>The run folder; null for a machine that someone else started.</summary>
    public RunFolder? Folder { get; }

    /// <summary>The id of a machine that was started here.</summary>
    public Guid? Id { get; }

    /// <summary>Files that were opened under another name than the one by which they are known here: that name, and the known one.</summary>
    public IReadOnlyDictionary<string, string> Names { get; private init; } = new Dictionary<string, string>();

    /// <summary>The version of QEMU.</summary>
    public Version Version => Monitor.Greeting.Version;

    internal static async Task<QemuMachine> ConnectAsync(RunFolder folder, Guid id, CancellationToken cancellation)
    {
        var monitor = await QmpClient.ConnectAsync(QmpEndpoint.Unix(folder.MonitorSocket), cancellation: cancellation).ConfigureAwait(false);
        return new QemuMachine(monitor, folder.Load()?.Process, QmpEndpoint.Unix(folder.AgentSocket), folder, id);
    }

    /// <summary>Connects to a QEMU that someone else started, by a QMP socket that it serves.</summary>
    /// <param name="monitor">The QMP monitor. Nobody else may be connected to it.</param>
    /// <param name="agent">The host's end of the guest agent's channel, if there is one.</param>
    /// <param name="names">Files that it opened under another name, such as by a link.</param>
    /// <param name="cancellation">Gives up.</param>
    public static async Task<QemuMachine> AttachAsync(
        QmpEndpoint monitor, QmpEndpoint? agent = null, IReadOnlyDictionary<string, string>? names = null, CancellationToken cancellation = default)
    {
        var client = await QmpClient.ConnectAsync(monitor, cancellation: cancellation).ConfigureAwait(false);
        return new QemuMachine(client, client.PeerProcessId is int id ? ProcessIdentity.Of(id) : null, agent, null, null) { Names = names ?? new Dictionary<string, string>() };
    }

    /// <summary>What the machine is doing.</summary>
    public async Task<MachineState> QueryStateAsync(CancellationToken cancellation = default)
    {
        try
        {
            return await QueryStateAsync(Monitor, cancellation).ConfigureAwait(false);
        }
        catch (QmpDisconnectedException)
        {
            // QEMU closes its connections before its process has ended.
            if (Process is not null && !await Process.WaitForExitAsync(EndPatience, cancellation).ConfigureAwait(false)) throw;
            return MachineState.Gone;
        }
    }

    /// <summary>Stops the processors. All writes that the guest was told are done are in the image files then.</summary>
    public Task PauseAsync(CancellationToken cancellation = default) => Monitor.ExecuteAsync("stop", cancellation: cancellation);

    /// <summary>Lets the processors run; wakes a guest that sleeps.</summary>
    public async Task ResumeAsync(CancellationToken cancellation = default)
    {
        if (await QueryStateAsync(cancellation).ConfigureAwait(false) == MachineState.GuestSuspended)
            await Monitor.ExecuteAsync("system_wakeup", cancellation: cancellation).ConfigureAwait(false);
        else
            await Monitor.ExecuteAsync("cont", cancellation: cancellation).ConfigureAwait(false);
    }

    /// <summary>
    /// Asks the guest to shut down, through its agent where one answers, else by the power button, and waits for it. It is asked
    /// again now and then: one that is still booting hears nothing.
    /// </summary>
    /// <returns>False when the guest did not shut down in time. It may do so later.</returns>
    public async Task<bool> ShutDownAsync(TimeSpan timeout, CancellationToken cancellation = default)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(timeout);
        using var watch = Monitor.Watch("SHUTDOWN", "STOP");
        try
        {
            do
            {
                if (!await AskAgentToShutDownAsync(limit.Token).ConfigureAwait(false))
                    await Monitor.ExecuteAsync("system_powerdown", cancellation: limit.Token).ConfigureAwait(false);
            }
            while (!await HasShutDownAsync(watch, limit.Token).ConfigureAwait(false));
            if (await QueryStateAsync(limit.Token).ConfigureAwait(false) == MachineState.ShutDown) return true;
        }
        catch (QmpDisconnectedException)
        {
            // QEMU ends with the guest.
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return false;
        }
        return Process is null || await Process.WaitForExitAsync(timeout, cancellation).ConfigureAwait(false);
    }

    /// <summary>Pulls the plug: QEMU ends; if it does not, its process is killed.</summary>
    /// <param name="patience">How long QEMU may take to write out what it holds and to end, 10 s by default.</param>
    /// <param name="cancellation">Gives up waiting.</param>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.ComputeFailed"/>: it was killed, and is still there.</exception>
    public async Task TurnOffAsync(TimeSpan? patience = null, CancellationToken cancellation = default)
    {
        var limit = patience ?? TimeSpan.FromSeconds(10);
        try
        {
            await Monitor.ExecuteAsync("quit", cancellation: cancellation).WaitAsync(limit, cancellation).ConfigureAwait(false);
        }
        catch (Exception e) when (e is QmpDisconnectedException or TimeoutException)
        {
        }
        if (Process is null || await Process.WaitForExitAsync(limit, cancellation).ConfigureAwait(false)) return;
        Process.Kill();
        if (!await Process.WaitForExitAsync(TimeSpan.FromSeconds(10), cancellation).ConfigureAwait(false)) throw NotEnded();
    }

    /// <summary>A process that was killed and is still there.</summary>
    internal static SnapshotException NotEnded() => new(ErrorIds.ComputeFailed, ErrorKind.Failed,
        "Its QEMU was killed and has not ended: the system waits for a disk on its behalf. See to the storage that its volumes lie on.");

    /// <summary>The machine type with its version, such as <c>pc-q35-7.2</c>: what a saved memory needs to be loaded again.</summary>
    public async Task<string> QueryMachineTypeAsync(CancellationToken cancellation = default)
    {
        var arguments = new JsonObject { ["path"] = "/machine", ["property"] = "type" };
        string type = (await Monitor.ExecuteAsync("qom-get", arguments, cancellation).ConfigureAwait(false)).GetString() ?? "";
        return type.EndsWith("-machine", StringComparison.Ordinal) ? type[..^"-machine".Length] : type;
    }

    /// <summary>Connects to the guest agent.</summary>
    /// <exception cref="GuestAgentException">There is no channel for it, or it does not answer.</exception>
    public Task<GuestAgentClient> ConnectAgentAsync(TimeSpan? timeout = null, CancellationToken cancellation = default) =>
        GuestAgentClient.ConnectAsync(
            AgentEndpoint ?? throw new GuestAgentException("The machine has no channel for a guest agent that is known here."), timeout, cancellation);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => Monitor.DisposeAsync();

    /// <summary>QEMU's own word for what the machine is doing (RunState).</summary>
    internal async Task<string> QueryRunStateAsync(CancellationToken cancellation = default) => await QueryRunStateAsync(Monitor, cancellation).ConfigureAwait(false);

    internal static async Task<MachineState> QueryStateAsync(QmpClient monitor, CancellationToken cancellation)
    {
        return await QueryRunStateAsync(monitor, cancellation).ConfigureAwait(false) switch
        {
            "running" or "debug" or "watchdog" => MachineState.Running,
            "suspended" => MachineState.GuestSuspended,
            "inmigrate" => MachineState.AwaitingMemory,
            "shutdown" => MachineState.ShutDown,
            "guest-panicked" or "internal-error" or "colo" => MachineState.Crashed,
            // paused, prelaunch, postmigrate, finish-migrate, save-vm, restore-vm, io-error
            _ => MachineState.Paused,
        };
    }

    private static async Task<string> QueryRunStateAsync(QmpClient monitor, CancellationToken cancellation) =>
        (await monitor.ExecuteAsync("query-status", cancellation: cancellation).ConfigureAwait(false)).TextOf("status") ?? "";

    private static async Task<bool> HasShutDownAsync(QmpEventWatch watch, CancellationToken cancellation)
    {
        using var wait = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        wait.CancelAfter(AskAgainAfter);
        try
        {
            await watch.NextAsync(e => e.Name == "SHUTDOWN", wait.Token).ConfigureAwait(false);
            return true;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return false;
        }
    }

    private async Task<bool> AskAgentToShutDownAsync(CancellationToken cancellation)
    {
        if (AgentEndpoint is null) return false;
        try
        {
            await using var agent = await ConnectAgentAsync(TimeSpan.FromSeconds(2), cancellation).ConfigureAwait(false);
            await agent.ShutdownAsync(cancellation).ConfigureAwait(false);
            return true;
        }
        catch (Exception e) when (e is GuestAgentException or QmpDisconnectedException or QmpException)
        {
            return false;
        }
    }
}
