using System.Collections.Concurrent;
using System.Diagnostics;
using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Clones;

/// <summary>
/// Takes copies that nobody works on from the catalog and runs them, until there has been nothing to do for a while. A store has
/// one worker: its lock is free the moment that it ends, however it ends, and the next one goes on with what it left.
/// </summary>
internal sealed class CopyWorker(EngineContext context, RunOptions options)
{
    private const int UsualConcurrency = 2;
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LockPatience = TimeSpan.FromSeconds(1);

    private readonly Dictionary<long, Task> _running = [];
    private readonly ConcurrentDictionary<long, bool> _failedHere = [];
    private readonly HashSet<long> _unanswered = [];

    /// <summary>Whether a worker is at it.</summary>
    public static bool IsRunning(EngineContext context)
    {
        using var free = context.Locks.TryAcquire(LockKey.Worker);
        return free is null;
    }

    /// <summary>Works until nothing was to be done for <paramref name="idle"/>; false when another worker is there already.</summary>
    public bool Run(TimeSpan idle)
    {
        // Who queues a copy looks at the lock afterwards; so it is looked for copies once more after the lock is given back.
        while (true)
        {
            using (var alone = TryBeAlone())
            {
                if (alone is null) return false;
                Work(idle);
            }
            if (options.Cancellation.IsCancellationRequested || Waiting().Count == 0) return true;
        }
    }

    /// <summary>Others take the lock for a moment to see whether a worker has it.</summary>
    private IDisposable? TryBeAlone()
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            if (context.Locks.TryAcquire(LockKey.Worker) is { } alone) return alone;
            if (clock.Elapsed >= LockPatience) return null;
            options.Cancellation.WaitHandle.WaitOne(20);
        }
    }

    private void Work(TimeSpan idle)
    {
        var sinceWork = Stopwatch.StartNew();
        while (!options.Cancellation.IsCancellationRequested)
        {
            foreach (long id in _running.Where(r => r.Value.IsCompleted).Select(r => r.Key).ToList()) _running.Remove(id);
            SettleTheDead();
            foreach (var (operation, copy) in Waiting())
            {
                if (_running.Count >= UsualConcurrency && _running.Count >= (copy.MaxConcurrency ?? 0)) break;
                if (IsCrowded(copy)) continue;
                _running.Add(operation.Id, Task.Run(() => RunOne(operation)));
            }
            if (_running.Count > 0) sinceWork.Restart();
            else if (sinceWork.Elapsed >= idle) return;
            options.Cancellation.WaitHandle.WaitOne(PollInterval);
        }
        Task.WaitAll([.. _running.Values]);
    }

    /// <summary>Copies that nobody works on and that did not just fail in this process, in their order.</summary>
    private List<(OperationRow Operation, CopyRow Copy)> Waiting() => context.Database.Read(() => context.Catalog.Copies.All()
        .Select(c => (Operation: context.Catalog.Operations.Get(c.OperationId), Copy: c))
        .Where(x => x.Operation.State is OperationState.Pending or OperationState.Interrupted && !_running.ContainsKey(x.Operation.Id) && !_failedHere.ContainsKey(x.Operation.Id)).ToList());

    /// <summary>Whether as many copies of the same call run as it allows.</summary>
    private bool IsCrowded(CopyRow copy) =>
        copy.MaxConcurrency is { } most && _running.Keys.Count(id => context.Catalog.Copies.Find(id)?.Batch == copy.Batch) >= most;

    private void RunOne(OperationRow operation)
    {
        try
        {
            var mine = context.Fork();
            using var catalog = mine.Catalog;
            VolumeCopy.Run(mine, operation, options, whenCancelled: OperationState.Pending);
        }
        catch (OperationCanceledException)
        {
            // This worker is to end; the copy is for the next one.
        }
        catch (SnapshotException error) when (error.ErrorId == ErrorIds.OperationState)
        {
            // A session was faster.
        }
        catch (Exception error)
        {
            // It is in the catalog; what is not a failure of the copy itself must not be tried again at once for ever.
            _failedHere[operation.Id] = true;
            options.Log?.Invoke($"{operation.Kind} {operation.Target}: {error.Message}");
        }
    }

    /// <summary>A session that copied itself may have been killed; its copy is taken over.</summary>
    private void SettleTheDead()
    {
        var settling = new Upkeep.Settling(context, options.Log);
        foreach (var operation in context.Catalog.Operations.Running().Where(o => !_running.ContainsKey(o.Id) && !_unanswered.Contains(o.Id)))
            if (!settling.TryTakeBackIfDead(operation)) _unanswered.Add(operation.Id);   // asking costs seconds; the next opening of the store asks again
    }
}
