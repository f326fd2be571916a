using SnapshotTools.Core;
using SnapshotTools.IO;
using SnapshotTools.Qemu.Launch;
using SnapshotTools.Qemu.Live;
using SnapshotTools.Qemu.Machines;
using SnapshotTools.Qemu.Memory;

namespace SnapshotTools.Qemu;

/// <summary>QEMU on this computer as the engine's compute plane.</summary>
/// <param name="files">The files.</param>
/// <param name="program">QEMU; found by itself when null.</param>
/// <param name="runRoot">Where the run folders are; the user's own place when null.</param>
public sealed class QemuComputePlane(IFileSystem files, string? program = null, string? runRoot = null) : IComputePlane
{
    private readonly QemuLauncher _launcher = new(files, program, runRoot);

    /// <inheritdoc/>
    public ComputeCapabilities Capabilities { get; } = (program ?? QemuProgram.Find()) is null
        ? new ComputeCapabilities(false, false, false, "there is no QEMU on this computer; install qemu-system-x86, or name the program in SNAPSHOTTOOLS_QEMU")
        : new ComputeCapabilities(true, true, true, null);

    /// <inheritdoc/>
    public VmState StateOf(Guid vmId) => QemuCalls.Run(() => _launcher.QueryStateAsync(vmId)) switch
    {
        MachineState.Gone => VmState.Stopped,
        MachineState.Running or MachineState.GuestSuspended => VmState.Running,
        _ => VmState.Paused,
    };

    /// <inheritdoc/>
    public IRunningMachine? Find(Guid vmId) => QemuCalls.Run(() => _launcher.FindAsync(vmId)) is { } machine ? new RunningMachine(machine, files) : null;

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
        catch (QemuStartException error) when (spec.Accelerator == Accelerator.Automatic && QemuProgram.CanUseKvm() && error.LastWords.Contains("kvm", StringComparison.OrdinalIgnoreCase))
        {
            warn?.Invoke($"VM '{spec.Name}' runs without hardware acceleration, which is slow: KVM failed on this computer ({error.LastWords.Split('\n')[0]}).");
            return await _launcher.StartAsync(spec with { Accelerator = Accelerator.Tcg }, cancellation).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public string? LastWords(Guid vmId)
    {
        var folder = _launcher.FolderOf(vmId);
        return folder.LastWords() is { Length: > 0 } words && folder.Load() is not { Process.IsAlive: true } ? words : null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // Connections belong to the machines that were found.
    }
}
