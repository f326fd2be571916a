using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using SnapshotTools.Core;
using SnapshotTools.Qemu.GuestAgent;
using SnapshotTools.Qemu.Launch;
using SnapshotTools.Qemu.Machines;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu.Live;

/// <summary>
/// A process beside the session that watches it while a guest is frozen, or while its memory is saved: should the session die
/// half-way, however it is killed, the guest is thawed and set going within seconds. There is no program of its own for it: it
/// is this library, run by what runs the session, <c>dotnet</c> or <c>pwsh</c>. A session that ends well ends its guard; one that could not
/// help its guest lets it <see cref="TakeOver"/>.
/// </summary>
public sealed partial class GuestGuard : IDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan RescueLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan ThawLimit = TimeSpan.FromMinutes(30);     // an agent that is still freezing answers nobody before it has done so
    private static readonly TimeSpan EndLimit = TimeSpan.FromSeconds(5);

    private const int UserSignal = 10;  // SIGUSR1 on Linux, signal(7)

    private readonly Process _process;

    private GuestGuard(Process process) => _process = process;

    /// <summary>Starts a guard that sets a guest going again which runs now and is about to stand; says why, where none can be had.</summary>
    public static async Task<(GuestGuard? Guard, string? Reason)> TryStartAsync(QemuMachine machine, CancellationToken cancellation)
    {
        try
        {
            return (await StartAsync(machine.Monitor.Endpoint, machine.Process, null, setGoing: true, cancellation).ConfigureAwait(false), null);
        }
        catch (GuestGuardException error)
        {
            return (null, error.Message);
        }
    }

    /// <summary>Starts a guard and waits until it watches.</summary>
    /// <param name="monitor">The machine's QMP monitor, which is free once the session is gone.</param>
    /// <param name="qemu">The process of QEMU, where it is known.</param>
    /// <param name="agent">The guest agent's channel when the guest is to be thawed; null leaves it alone.</param>
    /// <param name="setGoing">Whether the machine runs now and is to be set going again.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="GuestGuardException">No guard can be started here.</exception>
    public static async Task<GuestGuard> StartAsync(QmpEndpoint monitor, ProcessIdentity? qemu, QmpEndpoint? agent, bool setGoing, CancellationToken cancellation = default)
    {
        var me = ProcessIdentity.Of(Environment.ProcessId)!;
        using var folder = PrivateFolder.Create();
        string duty = Convert.ToBase64String(JsonSerializer.SerializeToUtf8Bytes(new Duty(me, qemu, monitor.ToString(), agent?.ToString(), setGoing)));
        var start = Command(duty, folder);
        start.RedirectStandardOutput = start.RedirectStandardInput = start.RedirectStandardError = true;
        Process process;
        try
        {
            process = Process.Start(start) ?? throw new GuestGuardException("it did not start");
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new GuestGuardException($"'{start.FileName}' does not run: {e.Message}", e);
        }
        try
        {
            process.StandardInput.Close();
            _ = process.StandardError.ReadToEndAsync(CancellationToken.None);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            limit.CancelAfter(StartLimit);
            while (await process.StandardOutput.ReadLineAsync(limit.Token).ConfigureAwait(false) is { } line)
                if (line == ReadyLine) return new GuestGuard(process);
            throw new GuestGuardException($"'{start.FileName}' ended at once");
        }
        catch (Exception e)
        {
            Kill(process);
            if (e is OperationCanceledException && !cancellation.IsCancellationRequested) throw new GuestGuardException($"'{start.FileName}' was not ready within {StartLimit.TotalSeconds:0} s", e);
            throw;
        }
    }

    /// <summary>Ends the guard: its duty is over.</summary>
    public void Dispose() => Kill(_process);

    /// <summary>
    /// Lets the guard act now, as if the session had died, and leaves it to it: it waits for what the session still holds. Where it cannot be told (anywhere
    /// but on Linux) it acts when the session ends.
    /// </summary>
    public void TakeOver()
    {
        if (OperatingSystem.IsLinux() && !_process.HasExited) _ = Signal(_process.Id, UserSignal);
        _process.Dispose();
    }

    /// <summary>What the guard's own process does.</summary>
    /// <param name="args">The duty, as <see cref="StartAsync"/> gave it.</param>
    /// <returns>0 when there was nothing to do or the guest goes on; 1 when it could not be helped.</returns>
    public static int Main(string[] args)
    {
        ArgumentNullException.ThrowIfNull(args);
        if (args is not [var text]) return 2;
        var duty = JsonSerializer.Deserialize<Duty>(Convert.FromBase64String(text))!;
        // What ends the session, Ctrl+C or a closed terminal, is not for its guard.
        if (!OperatingSystem.IsWindows()) _ = SetSid();   // fails only where it leads a session already
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, s => s.Cancel = true);
        using var hangup = PosixSignalRegistration.Create(PosixSignal.SIGHUP, s => s.Cancel = true);
        bool isCalled = false;
        using var call = OperatingSystem.IsLinux() ? PosixSignalRegistration.Create((PosixSignal)UserSignal, s =>
        {
            s.Cancel = true;
            Volatile.Write(ref isCalled, true);
        }) : null;
        Console.WriteLine(ReadyLine);
        Console.Out.Flush();
        while (duty.Session.IsAlive && !Volatile.Read(ref isCalled))
        {
            if (duty.Qemu is { IsAlive: false }) return 0;
            Thread.Sleep(LookInterval);
        }
        return RescueAsync(duty).GetAwaiter().GetResult() ? 0 : 1;
    }

    private const string ReadyLine = "watching";

    private static async Task<bool> RescueAsync(Duty duty)
    {
        bool goes = !duty.SetGoing || await StandingGuest.SetGoingAsync(QmpEndpoint.Parse(duty.Monitor), duty.Qemu, RescueLimit).ConfigureAwait(false);
        return duty.Agent is null ? goes : await ThawAsync(QmpEndpoint.Parse(duty.Agent), duty.Qemu).ConfigureAwait(false) && goes;
    }

    private static async Task<bool> ThawAsync(QmpEndpoint endpoint, ProcessIdentity? qemu)
    {
        for (long begun = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(begun) < ThawLimit; await Task.Delay(LookInterval).ConfigureAwait(false))
        {
            try
            {
                var agent = await GuestAgentClient.ConnectAsync(endpoint).ConfigureAwait(false);
                await using (agent.ConfigureAwait(false))
                {
                    if (await agent.IsFrozenAsync().ConfigureAwait(false)) await agent.ThawAsync().ConfigureAwait(false);
                    if (!await agent.IsFrozenAsync().ConfigureAwait(false)) return true;
                }
            }
            catch (Exception e) when (e is GuestAgentException or QmpDisconnectedException or QmpException)
            {
                if (qemu is { IsAlive: false }) return true;
                if (e is QmpDisconnectedException && Stopwatch.GetElapsedTime(begun) > RescueLimit) return false;   // there is no such machine any more
            }
        }
        return false;
    }

    /// <summary>How this library is run once more by what runs this process.</summary>
    private static ProcessStartInfo Command(string duty, PrivateFolder folder)
    {
        string library = typeof(GuestGuard).Assembly.Location;
        if (library.Length == 0) throw new GuestGuardException("the library is not a file");
        string host = Environment.ProcessPath ?? "";
        string? dotnet = Path.GetFileNameWithoutExtension(host) == "dotnet" ? host : null;
        if (dotnet is null && PowerShellProgram.Find(AppContext.BaseDirectory) is [var program, .. var first])
        {
            // A self-contained pwsh brings its own runtime, which runs nothing but pwsh.
            string call = $"exit ([Reflection.Assembly]::LoadFrom('{library.Replace("'", "''", StringComparison.Ordinal)}').GetType('{typeof(GuestGuard).FullName}'))::Main([string[]]'{duty}')";
            return new ProcessStartInfo(program, [.. first, "-NoLogo", "-NoProfile", "-NonInteractive", "-Command", call]);
        }
        dotnet ??= FindDotnet();
        return dotnet is null
            ? throw new GuestGuardException($"'{host}' cannot run it, and there is no dotnet on the search path")
            : new ProcessStartInfo(dotnet, ["exec", "--runtimeconfig", RuntimeConfig(folder), library, duty]);
    }

    private static string? FindDotnet() => new[] { Environment.GetEnvironmentVariable("DOTNET_ROOT") ?? "" }
        .Concat((Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)).Where(f => f.Length > 0)
        .Select(f => Path.Combine(f, OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet")).FirstOrDefault(File.Exists);

    /// <summary>A library has no runtime configuration beside it; one is made that names the runtime of this process.</summary>
    private static string RuntimeConfig(PrivateFolder folder) => folder.Write("guard.runtimeconfig.json",
        JsonSerializer.Serialize(new { runtimeOptions = new { framework = new { name = "Microsoft.NETCore.App", version = Environment.Version.ToString() } } }));

    /// <summary>A folder for its owner only, which is read while the guard starts.</summary>
    private sealed class PrivateFolder(string path) : IDisposable
    {
        public static PrivateFolder Create()
        {
            try
            {
                return new PrivateFolder(Directory.CreateTempSubdirectory("snapshottools-guard-").FullName);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw NoRoom(e);
            }
        }

        public string Write(string name, string text)
        {
            try
            {
                string file = Path.Combine(path, name);
                File.WriteAllText(file, text);
                return file;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw NoRoom(e);
            }
        }

        public void Dispose()
        {
            try
            {
                Directory.Delete(path, recursive: true);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // It lies in the folder for temporary files.
            }
        }

        private static GuestGuardException NoRoom(Exception e) => new($"no file for it can be made: {e.Message.TrimEnd('.')}", e);
    }

    private static void Kill(Process process)
    {
        try
        {
            process.Kill();
            process.WaitForExit(EndLimit);   // a moment; who looks then finds no guard
        }
        catch (InvalidOperationException)
        {
            // It has ended.
        }
        process.Dispose();
    }

    [LibraryImport("libc", EntryPoint = "setsid")]
    private static partial int SetSid();

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Signal(int process, int signal);

    private sealed record Duty(ProcessIdentity Session, ProcessIdentity? Qemu, string Monitor, string? Agent, bool SetGoing);
}

/// <summary>No guard could be started for a guest.</summary>
public sealed class GuestGuardException(string why, Exception? cause = null)
    : Exception($"The guard that would thaw the guest should this process be killed cannot be started: {why}.", cause);
