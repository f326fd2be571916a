using System.Globalization;
using System.Runtime.InteropServices;
using SnapshotTools.Cmdlets;
using SnapshotTools.Core;

namespace SnapshotTools.Module;

/// <summary>What a store's worker process runs. Not for users: the command line that <see cref="WorkerProcess"/> makes calls it.</summary>
public static class WorkerEntry
{
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(3);

    /// <summary>Works on a store's copies until there was nothing to do for a while.</summary>
    /// <param name="store">The store's directory.</param>
    public static void Run(string store)
    {
        WorkerProcess.Detach();
        using var stop = new CancellationTokenSource();
        using var term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal =>
        {
            signal.Cancel = true;   // what is being copied is left in order first
            stop.Cancel();
        });
        using var engine = OpenedStore.Open(store, Log);
        engine.Operations.Work(Idle, new RunOptions { Log = Log, Warn = Log, Cancellation = stop.Token });
    }

    /// <summary>Into the store's worker.log, which is the output of this process.</summary>
    private static void Log(string line) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{DateTimeOffset.Now:yyyy-MM-dd HH:mm:ss.fff} {line}"));
}
