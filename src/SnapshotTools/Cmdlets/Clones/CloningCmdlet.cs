using System.Management.Automation;
using SnapshotTools.Core;
using SnapshotTools.Module;

namespace SnapshotTools.Cmdlets;

/// <summary>A cmdlet that makes clones, and waits with a progress bar until their data is copied, or leaves that to a worker.</summary>
public abstract class CloningCmdlet : LockingCmdlet
{
    /// <summary>Comes back when the clones can be used, and leaves the copying to a worker that outlives the session.</summary>
    [Parameter]
    public SwitchParameter NoWait { get; set; }

    /// <summary>At most so many bytes a second, for all copies of this call together.</summary>
    [Parameter]
    [ValidateRange(4096, long.MaxValue)]
    public long MaxBytesPerSecond { get; set; }

    /// <summary>At most so many volumes are copied at once.</summary>
    [Parameter]
    [ValidateRange(1, 64)]
    public int MaxConcurrency { get; set; }

    /// <summary>How fast the copies run.</summary>
    private protected CopyPace Pace => new(MaxBytesPerSecond > 0 ? MaxBytesPerSecond : null, MaxConcurrency > 0 ? MaxConcurrency : null);

    /// <summary>Makes the clones, if that is approved, and sees to their copies.</summary>
    /// <param name="activity">What is being done.</param>
    /// <param name="engine">The store.</param>
    /// <param name="operation">The plan.</param>
    /// <param name="clones">What was made, in the result.</param>
    /// <param name="done">Writes the result.</param>
    private protected void Clone<T>(string activity, SnapshotEngine engine, PlannedOperation<T> operation, Func<T, CloneResult> clones, Action<T> done) =>
        Change(activity, operation, made =>
        {
            var copies = clones(made).Copies.Select(c => c.Id).ToList();
            try
            {
                if (copies.Count > 0 && NoWait) WorkerProcess.Ensure(this, engine);
                else if (copies.Count > 0) Copy(activity, engine, copies);
            }
            finally
            {
                // The clones are there and can be used, whatever became of the copies.
                if (!Stopping) done(made);
            }
        });

    private void Copy(string activity, SnapshotEngine engine, List<Guid> copies) => Await(activity, (reporter, token) => engine.Operations.Run(copies, new RunOptions
    {
        Progress = reporter,
        Log = reporter.Verbose,
        Warn = reporter.Warning,
        Cancellation = token,
    }));
}
