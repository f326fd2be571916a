using SnapshotTools.Core;
using SnapshotTools.IO;
using SnapshotTools.Qemu.Blocks;
using SnapshotTools.Qemu.GuestAgent;
using SnapshotTools.Qemu.Live;
using SnapshotTools.Qemu.Machines;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu;

/// <summary>A running QEMU as the engine sees it. A volume is found by the serial number that its disk was given.</summary>
internal sealed class RunningMachine(QemuMachine machine, IFileSystem files) : IRunningMachine
{
    private static readonly TimeSpan ThawPatience = TimeSpan.FromSeconds(5);

    public VmState State => QemuCalls.Run(() => machine.QueryStateAsync()).ToVmState();

    public IReadOnlyList<string> Heads => QemuCalls.Run(async () =>
    {
        var graph = await BlockGraph.QueryAsync(machine).ConfigureAwait(false);
        return graph.Devices.Select(d => graph.HeadOf(d.TopNode)?.Path).OfType<string>().ToArray();
    });

    public void Stop(bool turnOff, TimeSpan timeout, CancellationToken cancellation) => QemuCalls.Run(async () =>
    {
        if (!turnOff && !await machine.ShutDownAsync(timeout, cancellation).ConfigureAwait(false))
            throw new SnapshotException(ErrorIds.WaitTimedOut, ErrorKind.Busy, $"The guest did not shut down within {timeout.TotalSeconds:0} s; it may do so later. Wait longer with -TimeoutSec, or pull the plug with -TurnOff.");
        await machine.TurnOffAsync(cancellation: cancellation).ConfigureAwait(false);
        machine.Folder?.ForgetWords();
    });

    public void Pause() => QemuCalls.Run(() => machine.PauseAsync());

    public void Resume() => QemuCalls.Run(() => machine.ResumeAsync());

    public IStandstill PrepareStandstill(CancellationToken cancellation) =>
        new Standstill(machine, QemuCalls.Run(() => GuestGuard.TryStartAsync(machine, cancellation)).Guard);

    public IStandingMachine Suspend(string memoryFile, CancellationToken cancellation) => QemuCalls.Run(() => StandingMachine.SaveAsync(machine, files, memoryFile, cancellation));

    public bool GoOnAfterSuspend() => QemuCalls.Run(() => StandingMachine.GoOnAsync(machine));

    public IDisposable FreezeFileSystems(TimeSpan limit, CancellationToken cancellation) => QemuCalls.Run(async () =>
    {
        try
        {
            var agent = await machine.ConnectAgentAsync(TimeSpan.FromSeconds(5), cancellation).ConfigureAwait(false);
            FrozenGuest frozen;
            try
            {
                frozen = new FrozenGuest(agent, await GuestGuard.StartAsync(machine.Monitor.Endpoint, machine.Process, machine.AgentEndpoint, setGoing: false, cancellation).ConfigureAwait(false));
            }
            catch
            {
                await agent.DisposeAsync().ConfigureAwait(false);
                throw;
            }
            try
            {
                await agent.FreezeAsync(limit, cancellation).ConfigureAwait(false);
                return frozen;
            }
            catch (Exception error)
            {
                // An agent that is still at it answers nobody before it is done.
                if (await frozen.TryThawAsync(ThawPatience).ConfigureAwait(false) is null || error is OperationCanceledException) throw;
                throw new GuestAgentException($"{error.Message} They may be frozen all the same; they are thawed as soon as the agent answers.", error);
            }
        }
        catch (Exception error) when (error is GuestAgentException or GuestGuardException or QmpException or QmpDisconnectedException)
        {
            throw new SnapshotException(ErrorIds.ConsistencyNotAvailable, ErrorKind.Unsupported, $"The guest's file systems could not be frozen: {error.Message}",
                recommendedAction: "See to the agent in the guest, or let the snapshot be taken without it: -ConsistencyPolicy Preferred", cause: error);
        }
    });

    public ILiveSwitch PrepareSwitch(IReadOnlyList<LiveHead> heads, CancellationToken cancellation) => QemuCalls.Run(async () =>
    {
        await BlockJob.EndAbandonedAsync(machine).ConfigureAwait(false);
        var disks = heads.Select(h => new DiskHead(h.PresentHead, new ChainFile(h.NewHead, LayerFormat.Qcow2))).ToList();
        return new LiveSwitch(machine, await DiskSwitch.PrepareAsync(machine, disks, cancellation).ConfigureAwait(false), files);
    });

    public bool TryMerge(LiveMerge merge, IProgress<long>? progress, CancellationToken cancellation) =>
        QemuCalls.Run(() => LayerMerge.TryRunAsync(machine, merge, progress, cancellation));

    public bool CanMergeInto(string layer) => !machine.Names.Values.Contains(layer);

    public bool TakeReplacement(string layer) => QemuCalls.Run(() => LayerReplacement.TakeAsync(machine, layer));

    public void EndAbandonedMerges() => QemuCalls.Run(() => LayerMerge.EndAbandonedAsync(machine));

    public void Resize(string head, long size) => QemuCalls.Run(async () =>
    {
        var graph = await BlockGraph.QueryAsync(machine).ConfigureAwait(false);
        var top = graph.HeadOf(graph.DeviceOf(head).TopNode)!;
        await machine.Monitor.ExecuteAsync("block_resize", new() { ["node-name"] = top.Node, ["size"] = size }, CancellationToken.None).ConfigureAwait(false);
    });

    public void Dispose() => QemuCalls.Run(() => machine.DisposeAsync().AsTask());

    /// <summary>A guest whose file systems are frozen until this is disposed.</summary>
    private sealed class FrozenGuest(GuestAgentClient agent, GuestGuard guard) : IDisposable
    {
        public void Dispose()
        {
            if (QemuCalls.Run(() => TryThawAsync(null)) is { } error)
                throw new SnapshotException(ErrorIds.ComputeFailed, ErrorKind.Failed, $"The guest's file systems could not be thawed: {error.Message} They are thawed as soon as the agent answers.", cause: error);
        }

        /// <summary>Thaws; where that fails it is the guard's to do from now on.</summary>
        /// <returns>What failed.</returns>
        public async Task<Exception?> TryThawAsync(TimeSpan? limit)
        {
            bool isThawed = false;
            try
            {
                await agent.ThawAsync(limit).ConfigureAwait(false);
                isThawed = true;
                return null;
            }
            catch (Exception error) when (error is GuestAgentException or QmpException)
            {
                return error;
            }
            finally
            {
                await agent.DisposeAsync().ConfigureAwait(false);   // before the guard comes: the channel serves one at a time
                if (isThawed) guard.Dispose();
                else guard.TakeOver();
            }
        }
    }
}
