using System.Diagnostics;
using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Clones;

/// <summary>Runs copies in this process, several at once if that is wanted, and waits for those that another process runs.</summary>
internal sealed class CopyRunner(EngineContext context, RunOptions options)
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(200);

    /// <summary>Works on copies until each has ended or rests.</summary>
    /// <exception cref="SnapshotException">Why the first one failed; the others have ended by then.</exception>
    public List<OperationRow> Run(IReadOnlyList<OperationRow> operations)
    {
        int atOnce = Math.Min(operations.Count, operations.Min(o => context.Catalog.Copies.Find(o.Id)?.MaxConcurrency ?? 1));
        if (atOnce <= 1) RunAll(operations, o => RunOne(context, o));
        else
        {
            using var free = new SemaphoreSlim(atOnce);
            var tasks = operations.Select(o => Task.Run(() =>
            {
                free.Wait(options.Cancellation);
                var mine = context.Fork();
                try
                {
                    RunOne(mine, o);
                }
                finally
                {
                    mine.Catalog.Dispose();
                    free.Release();
                }
            })).ToList();
            Task.WhenAll(tasks).ContinueWith(_ => { }, TaskScheduler.Default).Wait();   // none is at work when the first failure is told of
            RunAll(tasks, t => t.GetAwaiter().GetResult());
        }
        return [.. operations.Select(o => context.Catalog.Operations.Get(o.Id))];
    }

    private void RunOne(EngineContext mine, OperationRow operation)
    {
        try
        {
            VolumeCopy.Run(mine, operation, options);
        }
        catch (SnapshotException error) when (error.ErrorId == ErrorIds.OperationState)
        {
            Wait(mine, operation, options);   // a worker was faster
        }
        catch (IOException error)
        {
            throw new SnapshotException(ErrorIds.StoreIoFailed, ErrorKind.Failed, $"Operation '{operation.Kind} {operation.Target}' could not be begun: {error.Message} When the cause is gone, go on: Resume-SnapshotOperation {operation.Uid}", operation.Uid, cause: error);
        }
    }

    /// <summary>
    /// Waits until an operation has ended or rests, and until nobody holds what it was about: a copy that is complete lets its source
    /// go a moment later. One whose process is dead is said to be interrupted.
    /// </summary>
    public static OperationRow Wait(EngineContext context, OperationRow operation, RunOptions options, TimeSpan? patience = null)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            var now = context.Catalog.Operations.Get(operation.Id);
            bool hasEnded = now.State is not (OperationState.Pending or OperationState.Running);
            if (hasEnded && (clock.Elapsed > patience || !IsWorkedOn(context, now))) return now;
            options.Progress?.Report(new OperationProgress($"{now.Kind} {now.Target}", now.BytesDone, now.BytesTotal));
            if (now.State == OperationState.Running) new Upkeep.Settling(context, options.Log).TakeBackIfDead(now);
            if (clock.Elapsed > patience)
                throw new SnapshotException(ErrorIds.WaitTimedOut, ErrorKind.Busy, $"Operation '{now.Kind} {now.Target}' has not ended in {patience.Value.TotalSeconds:0} s; it goes on. See how far it is: Get-SnapshotOperation {now.Uid}", now.Uid);
            options.Cancellation.WaitHandle.WaitOne(PollInterval);
            options.Cancellation.ThrowIfCancellationRequested();
        }
    }

    private static bool IsWorkedOn(EngineContext context, OperationRow operation)
    {
        using var free = context.Locks.TryAcquire(LockKey.Operation(operation.Id));
        return free is null;
    }

    private static void RunAll<T>(IReadOnlyList<T> items, Action<T> run)
    {
        Exception? first = null;
        foreach (var item in items)
        {
            try
            {
                run(item);
            }
            catch (OperationCanceledException)
            {
                throw;
            }
            catch (Exception error)
            {
                first ??= error;
            }
        }
        if (first is not null) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(first);
    }
}
