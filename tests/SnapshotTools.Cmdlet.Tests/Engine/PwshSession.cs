using System.Diagnostics;
using System.Text;
using System.Text.Json;
using SnapshotTools.Cmdlet.Driver;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests.Engine;

/// <summary>
/// A PowerShell of its own for one test class (<c>IClassFixture&lt;PwshSession&gt;</c>), with the module imported and a store of its own in
/// <c>$env:SNAPSHOTTOOLS_STORE</c>. Variables and locations last from one script to the next.
/// </summary>
public class PwshSession : IDisposable
{
    private static readonly TimeSpan StartTimeout = TimeSpan.FromMinutes(2);

    private readonly TempFolder _folder = new();
    private readonly StringBuilder _stderr = new();
    private readonly bool _importModule;
    private Process _process;

    /// <summary>Starts PowerShell and imports the module.</summary>
    public PwshSession()
        : this(importModule: true)
    {
    }

    /// <summary>Starts PowerShell.</summary>
    /// <param name="importModule">Whether to import the module.</param>
    protected PwshSession(bool importModule)
    {
        _importModule = importModule;
        _process = Start();
        ImportModule();
    }

    /// <summary>A folder of the session's own, deleted with it.</summary>
    public string Folder => _folder.Path;

    /// <summary>The path of a file in <see cref="Folder"/>.</summary>
    public string File(string name) => _folder.File(name);

    /// <summary>The folder of the store that cmdlets use when they are told no other. Nothing is there at first.</summary>
    public string Store => File("store");

    /// <summary>Runs a script to its end.</summary>
    /// <param name="script">The script.</param>
    /// <param name="answers">What the user types at prompts, in order: a choice's hot key such as <c>Y</c>, or a line.</param>
    /// <param name="width">Columns of the terminal.</param>
    /// <param name="timeout">After which the process is killed and the test fails; 60 s if not said. The next script begins in a new one.</param>
    public PwshResult Run(string script, string[]? answers = null, int width = 120, TimeSpan? timeout = null) => Begin(script, answers, width).Wait(timeout);

    /// <summary>Begins a script that the test stops or watches.</summary>
    public PwshCall Begin(string script, string[]? answers = null, int width = 120)
    {
        if (_process.HasExited) StartAnew();
        Send(new Request(script, answers ?? [], width));
        return new PwshCall(this);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Ends the process.</summary>
    protected virtual void Dispose(bool disposing)
    {
        if (!disposing) return;
        try
        {
            _process.StandardInput.Close();
            if (!_process.WaitForExit(10_000)) Kill();
        }
        finally
        {
            _process.Dispose();
            _folder.Dispose();
        }
    }

    internal void Send(Request request)
    {
        _process.StandardInput.WriteLine(JsonSerializer.Serialize(request));
        _process.StandardInput.Flush();
    }

    internal Reply Receive(DateTime until)
    {
        while (true)
        {
            var line = _process.StandardOutput.ReadLineAsync();
            TimeSpan left = until - DateTime.UtcNow;
            if (left < TimeSpan.Zero || !line.Wait(left))
            {
                Kill();
                throw new TimeoutException($"PowerShell did not answer in time and was killed.\n{StandardError()}");
            }
            if (line.Result is null) throw new InvalidOperationException($"PowerShell ended.\n{StandardError()}");
            if (line.Result.StartsWith(ScriptDriver.Mark, StringComparison.Ordinal))
                return JsonSerializer.Deserialize<Reply>(line.Result.AsSpan(ScriptDriver.Mark.Length))!;
        }
    }

    /// <summary>What made the process end has failed its own test, and is no concern of the next.</summary>
    private void StartAnew()
    {
        _process.Dispose();
        _process = Start();
        ImportModule();
    }

    private void ImportModule()
    {
        if (_importModule) Run($"Import-Module '{Repository.Module}'", timeout: StartTimeout).Succeeded();
    }

    private Process Start()
    {
        string driver = typeof(ScriptDriver).Assembly.Location;
        var start = new ProcessStartInfo("bash")
        {
            ArgumentList =
            {
                Repository.Pwsh, "-NoLogo", "-NoProfile", "-NonInteractive", "-Command",
                $"$null = [Reflection.Assembly]::LoadFrom('{driver}'); [{typeof(ScriptDriver).FullName}]::Run()",
            },
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = _folder.Path,
        };
        start.Environment["SNAPSHOTTOOLS_STORE"] = Store;
        start.Environment["NO_COLOR"] = "1";
        var process = Process.Start(start)!;
        process.ErrorDataReceived += (_, e) =>
        {
            if (e.Data is null) return;
            lock (_stderr) _stderr.AppendLine(e.Data);
        };
        process.BeginErrorReadLine();
        return process;
    }

    private void Kill()
    {
        try
        {
            _process.Kill(entireProcessTree: true);
            _process.WaitForExit(10_000);
        }
        catch (InvalidOperationException)
        {
            // It has ended by itself.
        }
    }

    private string StandardError()
    {
        lock (_stderr) return _stderr.ToString();
    }
}

/// <summary>A script that runs.</summary>
public sealed class PwshCall
{
    private readonly PwshSession _session;

    internal PwshCall(PwshSession session) => _session = session;

    /// <summary>Waits until the script writes a progress record.</summary>
    public ProgressLine WaitForProgress(TimeSpan? timeout = null)
    {
        var reply = _session.Receive(Until(timeout));
        return reply.Progress ?? throw new Xunit.Sdk.XunitException("The script ended without a progress record.");
    }

    /// <summary>Stops the script as Ctrl+C does.</summary>
    public void Stop() => _session.Send(new Request(null));

    /// <summary>Waits for the script's end.</summary>
    public PwshResult Wait(TimeSpan? timeout = null)
    {
        DateTime until = Until(timeout);
        while (true)
            if (_session.Receive(until).Outcome is { } outcome) return new PwshResult(outcome);
    }

    private static DateTime Until(TimeSpan? timeout) => DateTime.UtcNow + (timeout ?? TimeSpan.FromSeconds(60));
}
