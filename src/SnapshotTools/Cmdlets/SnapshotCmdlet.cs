using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>
/// What every cmdlet of the module shares: a token that Ctrl+C cancels, progress that appears only when something takes long,
/// and error records with a stable id. A leaf holds its parameters and overrides <see cref="Prepare"/>, <see cref="ProcessItem"/> or
/// <see cref="Finish"/>. An error of one item is written and the pipeline goes on; an error in <see cref="Prepare"/> ends the cmdlet.
/// </summary>
public abstract class SnapshotCmdlet : PSCmdlet, IDisposable
{
    private readonly CancellationTokenSource _stop = new();

    /// <summary>Cancelled when the pipeline is stopped. Hand it to everything that can wait or take long.</summary>
    protected CancellationToken Cancellation => _stop.Token;

    /// <summary>Once, before the first item: opens what the cmdlet needs.</summary>
    protected virtual void Prepare()
    {
    }

    /// <summary>Once for every item of the pipeline.</summary>
    protected virtual void ProcessItem()
    {
    }

    /// <summary>Once, after the last item.</summary>
    protected virtual void Finish()
    {
    }

    /// <summary>Frees what the cmdlet holds; always called, also when the pipeline was stopped.</summary>
    protected virtual void Dispose(bool disposing)
    {
        if (disposing) _stop.Dispose();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>
    /// Does one item's work. An engine's error becomes an error record and the answer is false, so that a loop over several names goes on
    /// with the next: <c>foreach (var name in Name) Try(() => Remove(name), name);</c>
    /// </summary>
    /// <param name="work">What to do.</param>
    /// <param name="target">The error's target object where the error itself names none.</param>
    protected bool Try(Action work, object? target = null)
    {
        ArgumentNullException.ThrowIfNull(work);
        try
        {
            work();
            return true;
        }
        catch (Exception e) when (ErrorRecords.IsMapped(e))
        {
            ThrowIfStopping(e);
            WriteError(ErrorRecords.From(e, target));
            return false;
        }
    }

    /// <summary>Runs a plan with progress, its log in the verbose stream, and Ctrl+C.</summary>
    /// <param name="activity">What is being done, such as <c>Restoring 'web01'</c>.</param>
    /// <param name="operation">The plan.</param>
    /// <param name="waitForLock">How long to wait for other operations on the same things; zero fails at once.</param>
    /// <param name="with">Adds to the options of the run.</param>
    private protected T Run<T>(string activity, PlannedOperation<T> operation, TimeSpan waitForLock = default, Func<RunOptions, WorkReporter, RunOptions>? with = null)
    {
        ArgumentNullException.ThrowIfNull(operation);
        return Await(activity, (reporter, token) =>
        {
            var options = new RunOptions
            {
                WaitForLock = waitForLock,
                Progress = reporter,
                Log = reporter.Verbose,
                Warn = reporter.Warning,
                Cancellation = token,
            };
            return operation.Run(with is null ? options : with(options, reporter));
        });
    }

    /// <summary>
    /// Runs long work on another thread while this one shows its progress and writes what it reports. Ctrl+C cancels the token given to
    /// the work; the call returns when the work has ended, so nothing is still at work when the prompt is back.
    /// </summary>
    /// <param name="activity">What is being done, such as <c>Checking layers</c>.</param>
    /// <param name="work">The work. It must not call WriteObject and the like; it speaks through the reporter.</param>
    protected T Await<T>(string activity, Func<WorkReporter, CancellationToken, T> work)
    {
        ArgumentNullException.ThrowIfNull(work);
        using var display = new ProgressDisplay(activity, WriteProgress);
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var reporter = new WorkReporter(display);
        var task = Task.Run(() => work(reporter, cancel.Token), CancellationToken.None);
        reporter.PumpUntil(task, this, cancel);
        return task.GetAwaiter().GetResult();
    }

    /// <summary>As the other <c>Await</c>, for work without a result.</summary>
    protected void Await(string activity, Action<WorkReporter, CancellationToken> work)
    {
        ArgumentNullException.ThrowIfNull(work);
        Await(activity, (reporter, token) =>
        {
            work(reporter, token);
            return true;
        });
    }

    /// <summary>The full path of a file or folder that the user named, seen from the session's location. It need not exist.</summary>
    /// <param name="path">The path.</param>
    /// <param name="advice">What to name instead of a path that is none.</param>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.InvalidPath"/>: no path of the file system.</exception>
    protected string FullPath(string path, string advice = "Name a file or folder of this computer.")
    {
        string fault;
        try
        {
            string full = SessionState.Path.GetUnresolvedProviderPathFromPSPath(path, out var provider, out _);
            if (provider.Name == "FileSystem") return full;
            fault = $"is not a path of the file system but of {provider.Name}.";
        }
        catch (Exception e) when (e is SessionStateException or ProviderInvocationException or PSArgumentException or PSInvalidOperationException)
        {
            fault = $"is not a path of the file system: {e.Message}";
        }
        throw new SnapshotException(ErrorIds.InvalidPath, ErrorKind.InvalidInput, $"'{path}' {fault} {advice}", path);
    }

    /// <inheritdoc/>
    protected sealed override void BeginProcessing()
    {
        try
        {
            Prepare();
        }
        catch (Exception e) when (ErrorRecords.IsMapped(e))
        {
            ThrowIfStopping(e);
            ThrowTerminatingError(ErrorRecords.From(e, target: null));
        }
    }

    /// <inheritdoc/>
    protected sealed override void ProcessRecord() => Try(ProcessItem);

    /// <inheritdoc/>
    protected sealed override void EndProcessing() => Try(Finish);

    /// <inheritdoc/>
    protected sealed override void StopProcessing()
    {
        try
        {
            _stop.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The cmdlet ended while Ctrl+C was on its way.
        }
    }

    private void ThrowIfStopping(Exception e)
    {
        if (e is OperationCanceledException && Stopping) throw new PipelineStoppedException();
    }
}
