using System.Diagnostics;
using System.Text;
using SnapshotTools.IO;
using SnapshotTools.Qemu.Machines;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu.Launch;

/// <summary>Starts machines and finds again those that run, whichever session started them.</summary>
/// <param name="files">The files.</param>
/// <param name="program">QEMU; <see cref="QemuProgram.Find"/> when null.</param>
/// <param name="runRoot">Where the run folders are; <see cref="RunRoots.OfThisUser"/> when null.</param>
public sealed class QemuLauncher(IFileSystem files, string? program = null, string? runRoot = null)
{
    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(60);

    // How long QEMU may be without a monitor while it begins or ends, and how long it may take to say what it is doing.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly IReadOnlyList<string> _roots = runRoot is null ? RunRoots.OfThisUser() : [runRoot];

    /// <summary>The run folder of a machine.</summary>
    public RunFolder FolderOf(Guid machine) => RunFolder.Of(files, machine, _roots);

    /// <summary>Starts a machine behind a daemon of its own, which outlives this process, and connects to it.</summary>
    /// <exception cref="QemuStartException">It runs already, QEMU is missing, or QEMU refused; with QEMU's own words.</exception>
    /// <exception cref="ArgumentException">The machine cannot be built like this.</exception>
    public async Task<QemuMachine> StartAsync(MachineSpec spec, CancellationToken cancellation = default)
    {
        string qemu = program ?? QemuProgram.Find()
            ?? throw new QemuStartException($"Machine '{spec.Name}' cannot be started: there is no QEMU on this computer. "
                + "Install qemu-system-x86, or name the program in SNAPSHOTTOOLS_QEMU.");
        var folder = FolderOf(spec.Id);
        if (folder.Load() is { Process.IsAlive: true } running)
            throw new QemuStartException($"Machine '{spec.Name}' runs already, as process {running.Process.Id}.");
        folder.Delete();
        folder.Create();

        bool kvm = spec.Accelerator == Accelerator.Kvm || (spec.Accelerator == Accelerator.Automatic && QemuProgram.CanUseKvm());
        var arguments = CommandLine.Build(spec, folder, kvm);
        // Written down before there is a process: whoever is killed in between, the machine is found.
        var record = new MachineRecord(spec.Id, spec.Name, null!, DateTimeOffset.UtcNow, kvm, [qemu, .. arguments]);
        folder.Save(record);
        await RunToDaemonAsync(spec, qemu, arguments, folder, kvm, cancellation).ConfigureAwait(false);
        var process = folder.FindProcess() ?? throw Ended(spec, folder, kvm);
        folder.Save(record with { Process = process });
        try
        {
            return await QemuMachine.ConnectAsync(folder, spec.Id, cancellation).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            process.Kill();
            if (e is QmpDisconnectedException) throw Ended(spec, folder, kvm, e);
            throw;
        }
    }

    /// <summary>Whether there is a process for a machine. Nobody is asked or waited for.</summary>
    public bool IsRunning(Guid machine) => FolderOf(machine).Load() is { Process.IsAlive: true };

    /// <summary>Connects to a machine that runs; null when it does not.</summary>
    /// <exception cref="QmpBusyException">Another session works on it.</exception>
    /// <exception cref="QemuSilentException">It does not respond to anybody.</exception>
    public async Task<QemuMachine?> FindAsync(Guid machine, CancellationToken cancellation = default)
    {
        var folder = FolderOf(machine);
        try
        {
            return await ReachAsync(folder, () => QemuMachine.ConnectAsync(folder, machine, cancellation), cancellation).ConfigureAwait(false);
        }
        catch (QmpDisconnectedException error)
        {
            var state = await QueryStateAsync(machine, cancellation).ConfigureAwait(false);
            if (state == MachineState.Gone) return null;
            if (state == MachineState.Silent && folder.Load() is { Process: { } process }) throw new QemuSilentException(process, error);
            throw;
        }
    }

    /// <summary>What a machine is doing, without disturbing a session that works on it.</summary>
    public async Task<MachineState> QueryStateAsync(Guid machine, CancellationToken cancellation = default)
    {
        var folder = FolderOf(machine);
        try
        {
            await using var status = await ReachAsync(folder, () => QmpClient.ConnectAsync(QmpEndpoint.Unix(folder.StatusSocket), Patience, cancellation), cancellation).ConfigureAwait(false);
            if (status is null) return MachineState.Gone;
            status.CommandTimeout = Patience;
            return await QemuMachine.QueryStateAsync(status, cancellation).ConfigureAwait(false);
        }
        catch (QmpDisconnectedException)
        {
            return folder.Load() is { Process.IsAlive: true } ? MachineState.Silent : MachineState.Gone;
        }
    }

    /// <summary>Kills the process of a machine, such as of one that does not respond (SIGKILL), and waits until it has ended.</summary>
    /// <returns>False when it has not ended after ten seconds: the system waits for a disk on its behalf.</returns>
    public async Task<bool> KillAsync(Guid machine, CancellationToken cancellation = default)
    {
        if (FolderOf(machine).Load() is not { Process: { } process }) return true;
        process.Kill();
        return await process.WaitForExitAsync(TimeSpan.FromSeconds(10), cancellation).ConfigureAwait(false);
    }

    /// <summary>Removes the run folder of a machine that has ended.</summary>
    public void Forget(Guid machine)
    {
        var folder = FolderOf(machine);
        if (folder.Load() is not { Process.IsAlive: true }) folder.Delete();
    }

    /// <summary>Connects to a machine, null when there is none. QEMU has a process before it has its sockets, and after it had them.</summary>
    private static async Task<T?> ReachAsync<T>(RunFolder folder, Func<Task<T>> connect, CancellationToken cancellation) where T : class
    {
        for (long begun = Stopwatch.GetTimestamp(); folder.Load() is { Process.IsAlive: true }; await Task.Delay(20, cancellation).ConfigureAwait(false))
        {
            try
            {
                return await connect().ConfigureAwait(false);
            }
            catch (QmpDisconnectedException error) when (error is not (QmpBusyException or QmpTimeoutException) && Stopwatch.GetElapsedTime(begun) < Patience)
            {
            }
        }
        return null;
    }

    private static async Task RunToDaemonAsync(
        MachineSpec spec, string qemu, IReadOnlyList<string> arguments, RunFolder folder, bool kvm, CancellationToken cancellation)
    {
        var start = new ProcessStartInfo(qemu, arguments)
        {
            RedirectStandardError = true,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            WorkingDirectory = folder.Path,
        };
        using var starter = new Process { StartInfo = start };
        var words = new StringBuilder();
        starter.ErrorDataReceived += (_, line) =>
        {
            lock (words) if (line.Data is not null && words.Length < 16_384) words.AppendLine(line.Data);
        };
        try
        {
            starter.Start();
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new QemuStartException($"Machine '{spec.Name}' cannot be started: '{qemu}' does not run: {e.Message}.", cause: e);
        }
        starter.StandardInput.Close();
        starter.BeginErrorReadLine();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(StartTimeout);
        try
        {
            // The process that was started ends as soon as its daemon has built the machine, or failed to.
            await starter.WaitForExitAsync(limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            starter.Kill(entireProcessTree: true);
            if (cancellation.IsCancellationRequested) throw;
            throw new QemuStartException($"Machine '{spec.Name}' was not ready after {StartTimeout.TotalSeconds:0} s and was ended.", folder.LastWords());
        }
        if (starter.ExitCode == 0) return;
        string said;
        lock (words) said = words.ToString().Trim();
        throw new QemuStartException($"Machine '{spec.Name}' cannot be started (QEMU ended with {starter.ExitCode}).{Advice(kvm)}",
            string.Join('\n', new[] { said, folder.LastWords() }.Where(w => w.Length > 0)));
    }

    private static QemuStartException Ended(MachineSpec spec, RunFolder folder, bool kvm, Exception? cause = null) =>
        new($"Machine '{spec.Name}' ended as soon as it was started.{Advice(kvm)}", folder.LastWords(), cause);

    private static string Advice(bool kvm) =>
        kvm ? " It was to run on KVM; where /dev/kvm does not work, ask for QEMU's own translation (TCG) instead." : "";
}
