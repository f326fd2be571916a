using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Carries what work on other threads has to say to the pipeline's thread. Any thread may report, at any rate.</summary>
public sealed class WorkReporter : IProgress<OperationProgress>
{
    private readonly ProgressDisplay _display;
    private readonly object _lock = new();
    private readonly Queue<Action<Cmdlet>> _messages = [];
    private readonly TaskCompletionSource _pumpEnded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private OperationProgress _latest = new("", 0, 0);

    internal WorkReporter(ProgressDisplay display) => _display = display;

    /// <inheritdoc/>
    public void Report(OperationProgress value)
    {
        lock (_lock) _latest = value;
    }

    /// <summary>Writes to the verbose stream.</summary>
    public void Verbose(string text) => Post(cmdlet => cmdlet.WriteVerbose(text));

    /// <summary>Writes to the warning stream.</summary>
    public void Warning(string text) => Post(cmdlet => cmdlet.WriteWarning(text));

    /// <summary>Does something on the pipeline's thread and waits for it; what it throws is thrown here.</summary>
    /// <exception cref="OperationCanceledException">The pipeline's thread does nothing any more; it was not done.</exception>
    internal void Invoke(Action work)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Post(_ =>
        {
            try
            {
                work();
                done.TrySetResult();
            }
            catch (Exception e)
            {
                done.TrySetException(e);
            }
        });
        Task.WaitAny(done.Task, _pumpEnded.Task);
        if (!done.Task.IsCompleted) throw new OperationCanceledException();
        done.Task.GetAwaiter().GetResult();
    }

    /// <summary>Shows progress and writes messages until the task has ended and all that it reported is written. For the pipeline's thread.</summary>
    /// <param name="task">The work.</param>
    /// <param name="cmdlet">Whose streams are written to.</param>
    /// <param name="cancel">Ends the work when a write throws, as it does when the pipeline stops. The work is waited for all the same.</param>
    internal void PumpUntil(Task task, Cmdlet cmdlet, CancellationTokenSource cancel)
    {
        _ = task.ContinueWith(_ => Wake(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        try
        {
            bool ended;
            do
            {
                ended = task.IsCompleted;
                if (Next(task) is { } message)
                {
                    message(cmdlet);
                    ended = false;
                }
                if (!task.IsCompleted) _display.Show(Latest());
            }
            while (!ended);
        }
        catch
        {
            cancel.Cancel();
            _pumpEnded.TrySetResult();
            throw;
        }
        finally
        {
            ((IAsyncResult)task).AsyncWaitHandle.WaitOne();
        }
    }

    private void Post(Action<Cmdlet> message)
    {
        lock (_lock)
        {
            _messages.Enqueue(message);
            Monitor.PulseAll(_lock);
        }
    }

    private void Wake()
    {
        lock (_lock) Monitor.PulseAll(_lock);
    }

    /// <summary>The next message; null when there is none by the time of the next drawing or the end of the task.</summary>
    private Action<Cmdlet>? Next(Task task)
    {
        lock (_lock)
        {
            if (_messages.Count == 0 && !task.IsCompleted) Monitor.Wait(_lock, _display.UntilNext);
            return _messages.TryDequeue(out var message) ? message : null;
        }
    }

    private OperationProgress Latest()
    {
        lock (_lock) return _latest;
    }
}
