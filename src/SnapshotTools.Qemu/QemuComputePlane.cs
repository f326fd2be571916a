using SnapshotTools.Core;
using SnapshotTools.IO;
using SnapshotTools.Qemu.Blocks;
using SnapshotTools.Qemu.Launch;
using SnapshotTools.Qemu.Live;
using SnapshotTools.Qemu.Machines;
using SnapshotTools.Qemu.Memory;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu;

/// <summary>QEMU on this computer as the engine's compute plane.</summary>
/// <param name="files">The files.</param>
/// <param name="program">QEMU; found by itself when null.</param>
/// <param name="runRoot">Where the run folders are; the user's own place when null.</param>
public sealed class QemuComputePlane(IFileSystem files, string? program = null, string? runRoot = null) : IComputePlane
{
    private static readonly TimeSpan LookTimeout = TimeSpan.FromSeconds(1);
    private readonly QemuLauncher _launcher = new(files, program, runRoot);

    /// <inheritdoc/>
    public ComputeCapabilities Capabilities { get; } = (program ?? QemuProgram.Find()) is null
        ? new ComputeCapabilities(false, false, false, "there is no QEMU on this computer; install qemu-system-x86, or name the program in SNAPSHOTTOOLS_QEMU")
        : new ComputeCapabilities(true, true, true, null);

    /// <inheritdoc/>
    public VmState StateOf(Guid vmId) => _launcher.IsRunning(vmId) ? QemuCalls.Run(() => _launcher.QueryStateAsync(vmId)).ToVmState() : VmState.Stopped;

    /// <inheritdoc/>
    public IRunningMachine? Find(Guid vmId) => _launcher.IsRunning(vmId) && QemuCalls.Run(() => _launcher.FindAsync(vmId)) is { } machine ? new RunningMachine(machine, files) : null;

    /// <inheritdoc/>
    public ConnectedMachine Connect(string monitor, string? agent, IReadOnlyList<MachineDisk> disks)
    {
        ArgumentNullException.ThrowIfNull(disks);
        var (monitorAt, agentAt) = (Parse(monitor)!, Parse(agent));
        return QemuCalls.Run(async () =>
        {
            var machine = await AttachAsync(monitorAt, agentAt).ConfigureAwait(false);
            await using (machine.ConfigureAwait(false))
                return new ConnectedMachine(monitorAt.ToString(), agentAt?.ToString(), await DiskMatch.RunAsync(machine, disks).ConfigureAwait(false));
        });
    }

    /// <inheritdoc/>
    public VmState StateOf(ConnectedMachine machine)
    {
        ArgumentNullException.ThrowIfNull(machine);
        return QemuCalls.Run(async () =>
        {
            try
            {
                var client = await QmpClient.ConnectAsync(QmpEndpoint.Parse(machine.Monitor), LookTimeout).ConfigureAwait(false);
                await using (client.ConfigureAwait(false))
                    return (await QemuMachine.QueryStateAsync(client, CancellationToken.None).ConfigureAwait(false)).ToVmState();
            }
            catch (Exception e) when (e is QmpBusyException or QmpTimeoutException)
            {
                return VmState.Running;     // a session works on it, and there is no second monitor to ask; or it is there and does not answer
            }
            catch (QmpDisconnectedException)
            {
                return VmState.Stopped;
            }
        });
    }

    /// <inheritdoc/>
    public IRunningMachine? Find(ConnectedMachine machine)
    {
        ArgumentNullException.ThrowIfNull(machine);
        return QemuCalls.Run(async () =>
        {
            try
            {
                return new RunningMachine(await AttachAsync(QmpEndpoint.Parse(machine.Monitor), Parse(machine.Agent), machine.Names).ConfigureAwait(false), files);
            }
            catch (QmpDisconnectedException error) when (error is not QmpBusyException)
            {
                return null;
            }
        });
    }

    private static async Task<QemuMachine> AttachAsync(QmpEndpoint monitor, QmpEndpoint? agent, IReadOnlyDictionary<string, string>? names = null)
    {
        try
        {
            return await QemuMachine.AttachAsync(monitor, agent, names).ConfigureAwait(false);
        }
        catch (QmpTimeoutException error)
        {
            throw new SnapshotException(ErrorIds.VmNotResponding, ErrorKind.Failed,
                $"{error.Message} It hangs. Try again in a moment; if it stays like this, end its process, which someone else started.", cause: error);
        }
    }

    private static QmpEndpoint? Parse(string? address)
    {
        try
        {
            return address is null ? null : QmpEndpoint.Parse(address);
        }
        catch (Exception error) when (error is FormatException or ArgumentException)
        {
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, error.Message, address, cause: error);
        }
    }

    /// <inheritdoc/>
    public IRunningMachine Start(MachineDefinition machine, StartOptions options, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(machine);
        ArgumentNullException.ThrowIfNull(options);
        return QemuCalls.Run(async () =>
        {
            using var memory = options.MemoryFile is null ? null : files.Open(options.MemoryFile, FileOpenMode.Read);
            var spec = MachineSpecs.Of(machine) with { Accelerator = QemuProgram.PreferredAccelerator(), AwaitsMemory = memory is not null, StartPaused = options.Paused };
            if (memory is not null) spec = spec with { MachineType = MemoryImage.ReadHeader(memory).MachineType };
            var started = await StartAsync(spec, options.Warn, cancellation).ConfigureAwait(false);
            try
            {
                if (memory is not null)
                {
                    await MemoryRestore.LoadAsync(started, memory, cancellation).ConfigureAwait(false);
                    if (!options.Paused) await started.ResumeAsync(cancellation).ConfigureAwait(false);
                }
                return new RunningMachine(started, files);
            }
            catch
            {
                await started.TurnOffAsync(cancellation: CancellationToken.None).ConfigureAwait(false);
                await started.DisposeAsync().ConfigureAwait(false);
                throw;
            }
        });
    }

    /// <summary>Starts on KVM where it works. A computer may have /dev/kvm and still not be able to run a guest on it, as a nested one.</summary>
    private async Task<QemuMachine> StartAsync(MachineSpec spec, Action<string>? warn, CancellationToken cancellation)
    {
        try
        {
            return await _launcher.StartAsync(spec, cancellation).ConfigureAwait(false);
        }
        catch (ArgumentException error)
        {
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, error.Message, spec.Name, cause: error);
        }
        catch (QemuStartException error) when (spec.Accelerator == Accelerator.Automatic && QemuProgram.CanUseKvm() && error.LastWords.Contains("kvm", StringComparison.OrdinalIgnoreCase))
        {
            warn?.Invoke($"VM '{spec.Name}' runs without hardware acceleration, which is slow: KVM failed on this computer ({error.LastWords.Split('\n')[0]}).");
            return await _launcher.StartAsync(spec with { Accelerator = Accelerator.Tcg }, cancellation).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public void Kill(Guid vmId)
    {
        if (!QemuCalls.Run(() => _launcher.KillAsync(vmId))) throw QemuMachine.NotEnded();
        _launcher.FolderOf(vmId).ForgetWords();
    }

    /// <inheritdoc/>
    public string? LastWords(Guid vmId)
    {
        var folder = _launcher.FolderOf(vmId);
        return folder.LastWords() is { Length: > 0 } words && folder.Load() is not { Process.IsAlive: true } ? words : null;
    }

    /// <inheritdoc/>
    public void Forget(Guid vmId)
    {
        if (_launcher.IsRunning(vmId)) return;
        try
        {
            _launcher.FolderOf(vmId).Delete();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // It holds sockets that nobody listens at, and goes with the next start of the computer.
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // Connections belong to the machines that were found.
    }
}
