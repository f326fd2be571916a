using System.Diagnostics;
using System.Management.Automation;
using System.Runtime.InteropServices;
using SnapshotTools.Core;

namespace SnapshotTools.Module;

/// <summary>
/// Starts the store's worker: PowerShell once more, which imports this module from its own folder and works without a
/// terminal, so that it lives on when the session ends.
/// </summary>
internal static partial class WorkerProcess
{
    private const string LogName = "worker.log";

    /// <summary>Starts a worker for a store, unless one is at it.</summary>
    public static void Ensure(PSCmdlet cmdlet, SnapshotEngine engine)
    {
        if (engine.Operations.IsWorkerRunning()) return;
        string home = (string)cmdlet.SessionState.PSVariable.GetValue("PSHOME");
        string store = engine.GetStore().Path;
        string script = $"Import-Module '{Quote(ModuleFolder)}'; (Get-Command SnapshotTools\\Get-SnapshotStore).ImplementingType.Assembly.GetType('{typeof(WorkerEntry).FullName}')::Run('{Quote(store)}')";
        string[] program = PowerShellProgram.Find(home)
            ?? throw new SnapshotException(ErrorIds.NotSupported, ErrorKind.Unsupported, $"No pwsh was found in '{home}' to start the worker with. Leave -NoWait away, so that this session copies itself.");
        string[] arguments = [.. program, "-NoLogo", "-NoProfile", "-NonInteractive", "-Command", script];
        if (OperatingSystem.IsWindows()) StartOnWindows(arguments);
        else StartOnUnix(arguments, Path.Combine(store, LogName));
    }

    /// <summary>Leaves the session and the terminal of whoever started this process. Called by the worker itself, first of all.</summary>
    public static void Detach()
    {
        if (OperatingSystem.IsWindows()) return;
        _ = SetSession();   // it fails only where that has been done already
    }

    private static string ModuleFolder => Path.GetDirectoryName(typeof(WorkerProcess).Assembly.Location)!;

    private static void StartOnUnix(string[] arguments, string log)
    {
        // The shell ends at once, so that the worker is nobody's child; what it inherits ignores the terminal's signals.
        var start = new ProcessStartInfo("/bin/sh") { UseShellExecute = false, WorkingDirectory = "/" };
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add("umask 077; log=$1; shift; trap '' HUP INT QUIT; \"$@\" </dev/null >\"$log\" 2>&1 &");
        start.ArgumentList.Add("sh");
        start.ArgumentList.Add(log);
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        start.Environment.Remove("SNAPSHOTTOOLS_STORE");
        using var shell = Process.Start(start)!;
        shell.WaitForExit();
    }

    private static void StartOnWindows(string[] arguments)
    {
        var start = new ProcessStartInfo(arguments[0]) { UseShellExecute = false, CreateNoWindow = true };
        foreach (string argument in arguments[1..]) start.ArgumentList.Add(argument);
        Process.Start(start)!.Dispose();
    }

    private static string Quote(string text) => text.Replace("'", "''", StringComparison.Ordinal);

    [LibraryImport("libc", EntryPoint = "setsid", SetLastError = true)]
    private static partial int SetSession();
}
