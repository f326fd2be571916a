using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>
/// What a user wants to run around the instant of a snapshot. The scripts run on the pipeline's thread, where their variables are, while
/// the engine's thread waits. Disposing runs what had to run and could not, since the pipeline was being stopped.
/// </summary>
internal sealed class SnapshotScripts : IDisposable
{
    // Has no variables of its own, which would hide the caller's.
    private const string Wrapper = """
        $ErrorActionPreference = 'Stop'
        $PSNativeCommandUseErrorActionPreference = $true
        & $args[0] $args[1] $args[2]
        if (-not $? -and $args[0] -is [string]) { throw "it ended with exit code $LASTEXITCODE" }
        """;

    // A block of a module sees the preferences of its module only, so that it is run inside of it.
    private const string InModule = $"& $args[0].Module {{ {Wrapper} }} @args";

    private readonly SnapshotCmdlet _cmdlet;
    private readonly object? _before;
    private readonly object? _after;
    private readonly TimeSpan _limit;
    private readonly string[] _names;
    private bool _isOwed;
    private SnapshotException? _failure;

    private SnapshotScripts(SnapshotCmdlet cmdlet, object? before, object? after, TimeSpan limit, string[] names) =>
        (_cmdlet, _before, _after, _limit, _names) = (cmdlet, before, after, limit, names);

    /// <summary>Both scripts of a snapshot; null where there is neither.</summary>
    /// <param name="cmdlet">On whose pipeline they run.</param>
    /// <param name="before">Script block or path, or null.</param>
    /// <param name="after">Script block or path, or null.</param>
    /// <param name="limit">How long each may take.</param>
    /// <param name="names">What they get as arguments.</param>
    public static SnapshotScripts? Of(SnapshotCmdlet cmdlet, object? before, object? after, TimeSpan limit, string[] names) =>
        before is null && after is null ? null : new SnapshotScripts(cmdlet, before, after, limit, names);

    /// <summary>The options of a run that has them around its instant.</summary>
    public RunOptions Around(RunOptions options, WorkReporter reporter) => options with
    {
        BeforePoint = () => reporter.Invoke(RunBefore),
        AfterPoint = () =>
        {
            try
            {
                reporter.Invoke(RunAfter);
            }
            catch (OperationCanceledException)
            {
                // Dispose does it.
            }
        },
    };

    /// <summary>Runs what is owed and writes what went wrong with it.</summary>
    public void Dispose()
    {
        RunAfter();
        if (_failure is null) return;
        try
        {
            _cmdlet.WriteError(ErrorRecords.From(_failure, _names[0]));
        }
        catch (PipelineStoppedException)
        {
            // Nobody is there to read it.
        }
    }

    private void RunBefore()
    {
        _isOwed = true;
        if (_before is not null && Run(_before) is { } fault)
            throw new SnapshotException(ErrorIds.PreScriptFailed, ErrorKind.Failed,
                $"The script before the snapshot of VM '{_names[0]}' failed: {fault} The snapshot was not taken. Mend the script, or take the snapshot without -PreScript.", _names[0]);
    }

    private void RunAfter()
    {
        if (!_isOwed) return;
        _isOwed = false;
        if (_after is not null && Run(_after) is { } fault)
            _failure = new SnapshotException(ErrorIds.PostScriptFailed, ErrorKind.Failed,
                $"The script after snapshot '{_names[^1]}' of VM '{_names[0]}' failed: {fault} Undo by hand what -PreScript had begun. Get-VmSnapshot {_names[0]} says whether the snapshot was taken.", _names[0]);
    }

    /// <summary>Runs a script to its end; gives why it failed, or null.</summary>
    private string? Run(object script)
    {
        using var shell = PowerShell.Create(RunspaceMode.CurrentRunspace);
        shell.AddScript(script is ScriptBlock { Module: not null } ? InModule : Wrapper, useLocalScope: true).AddArgument(script).AddArgument(_names[0]).AddArgument(_names[^1]);
        bool isLate = false;
        using var timer = new Timer(_ =>
        {
            isLate = true;
            try
            {
                shell.BeginStop(null, null);
            }
            catch (ObjectDisposedException)
            {
                // It ended by itself just now.
            }
        }, null, _limit, Timeout.InfiniteTimeSpan);
        try
        {
            foreach (var line in shell.Invoke()) Say(line?.ToString() ?? "");
        }
        catch (PipelineStoppedException)
        {
            // As for a script that was stopped and does not throw.
        }
        catch (RuntimeException e)
        {
            return Fault(e.ErrorRecord);
        }
        finally
        {
            foreach (var warning in shell.Streams.Warning) Say("WARNING: " + warning.Message);
            foreach (var error in shell.Streams.Error) Say("ERROR: " + error);
        }
        if (shell.InvocationStateInfo.State == PSInvocationState.Stopped)
            return isLate ? $"It was ended after {_limit.TotalSeconds:0} s (-ScriptTimeoutSec)." : "It was stopped.";
        // What a function of another module writes as an error does not end the script: the function does not see its preferences.
        return shell.Streams.Error.FirstOrDefault(e => !IsFromAProgram(e)) is { } missed ? Fault(missed) : null;
    }

    private static string Fault(ErrorRecord error) => $"{(error.ErrorDetails?.Message ?? error.Exception.Message).TrimEnd('.')}.";

    /// <summary>Whether it is a line that a program wrote to its standard error, which says nothing about success.</summary>
    private static bool IsFromAProgram(ErrorRecord error) => error.FullyQualifiedErrorId is "NativeCommandError" or "NativeCommandErrorMessage";

    private void Say(string line)
    {
        try
        {
            _cmdlet.WriteVerbose("script: " + line);
        }
        catch (PipelineStoppedException)
        {
            // Nobody is there to read it.
        }
    }
}
