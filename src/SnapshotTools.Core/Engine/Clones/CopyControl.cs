using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Volumes;

namespace SnapshotTools.Core.Engine.Clones;

/// <summary>Pausing, resuming and stopping copies, from any session.</summary>
internal static class CopyControl
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(100);

    /// <summary>Lets a copy rest until it is resumed.</summary>
    public static OperationRow Suspend(EngineContext context, OperationRow operation, RunOptions options)
    {
        RequireCopy(context, operation, "paused");
        return Ask(context, operation, OperationWish.Pause, options, () =>
            context.Database.Write(() => context.Catalog.Operations.SetWaiting(operation.Id, OperationState.Paused)));
    }

    /// <summary>Puts a copy that rests, was interrupted or has failed back into the queue.</summary>
    public static OperationRow Resume(EngineContext context, OperationRow operation) => context.Database.Write(() =>
    {
        RequireCopy(context, operation, "resumed");
        var now = context.Catalog.Operations.Get(operation.Id);
        if (now.State is OperationState.Paused or OperationState.Interrupted or OperationState.Failed) context.Catalog.Operations.SetWaiting(now.Id, OperationState.Pending);
        else if (now.Wanted == OperationWish.Pause) context.Catalog.Operations.SetWanted(now.Id, OperationWish.None);
        return context.Catalog.Operations.Get(now.Id);
    });

    /// <summary>Stops an operation: a copy leaves a linked clone or nothing, everything else takes itself back.</summary>
    public static OperationRow Stop(EngineContext context, OperationRow operation, bool discard, RunOptions options)
    {
        RequireStoppable(context, operation, discard);
        if (context.Catalog.Copies.Find(operation.Id) is not { } copy)
        {
            var ended = Ask(context, operation, OperationWish.Stop, options, () => { });
            if (ended.State == OperationState.Running) new Upkeep.Settling(context, options.Log).TakeBackIfDead(ended);   // nobody is at it any more
            return context.Catalog.Operations.Get(operation.Id);
        }
        return Ask(context, operation, discard ? OperationWish.Discard : OperationWish.Stop, options, () => Abandon(context, operation, copy, discard, options));
    }

    /// <summary>Refuses to stop what has ended, and to discard what is more than a clone.</summary>
    public static void RequireStoppable(EngineContext context, OperationRow operation, bool discard)
    {
        if (context.Catalog.Copies.Find(operation.Id) is not { } copy)
        {
            if (operation.State != OperationState.Running || discard) RequireCopy(context, operation, discard ? "discarded" : "stopped");
        }
        else if (discard) RequireUnused(context, context.Catalog.Volumes.Get(copy.VolumeId));
    }

    /// <summary>Does it where nobody works on the operation; asks its owner, and waits, where somebody does.</summary>
    private static OperationRow Ask(EngineContext context, OperationRow operation, OperationWish wish, RunOptions options, Action unowned)
    {
        bool asked = false;
        while (true)
        {
            var now = context.Catalog.Operations.Get(operation.Id);
            bool isOver = now.State is OperationState.Completed or OperationState.Cancelled || (now.State == OperationState.Failed && asked)
                || (wish == OperationWish.Pause && now.State == OperationState.Paused);
            if (isOver) return now;
            using (var mine = context.Locks.TryAcquire(LockKey.Operation(operation.Id)))
            {
                if (mine is not null)
                {
                    now = context.Catalog.Operations.Get(operation.Id);
                    if (now.State is OperationState.Completed or OperationState.Cancelled) return now;
                    unowned();
                    return context.Catalog.Operations.Get(operation.Id);
                }
            }
            if (!asked) context.Database.Write(() => context.Catalog.Operations.SetWanted(operation.Id, wish));
            asked = true;
            options.Cancellation.WaitHandle.WaitOne(PollInterval);
            options.Cancellation.ThrowIfCancellationRequested();
        }
    }

    /// <summary>Refuses what only a copy that has not ended can be told.</summary>
    public static void RequireCopy(EngineContext context, OperationRow operation, string verb)
    {
        if (context.Catalog.Copies.Find(operation.Id) is not null) return;
        throw new SnapshotException(ErrorIds.OperationState, ErrorKind.Conflict, operation.State is OperationState.Pending or OperationState.Running or OperationState.Paused
            ? $"Operation '{operation.Kind} {operation.Target}' is no copy of a clone and cannot be {verb}. Wait for it: Wait-SnapshotOperation {operation.Uid}"
            : $"Operation '{operation.Kind} {operation.Target}' is {operation.State}; it cannot be {verb} any more. See Get-SnapshotOperation {operation.Uid}", operation.Uid);
    }

    /// <summary>Gives up a copy whose lock is held: the clone stays linked, or goes.</summary>
    public static void Abandon(EngineContext context, OperationRow operation, CopyRow copy, bool discard, RunOptions options)
    {
        var volume = context.Catalog.Volumes.Get(copy.VolumeId);
        using (context.Locks.Acquire([LockKey.Volume(volume.Id)], TimeSpan.MaxValue, _ => throw new InvalidOperationException(), null, CancellationToken.None))
            Forget(context, operation, copy, volume, discard);
        var collecting = new Collecting(context);
        collecting.DeleteGarbage();
        foreach (long id in discard ? new[] { copy.SourceId } : [copy.VolumeId])
        {
            using var mine = context.Locks.TryAcquire(LockKey.Volume(id));
            if (mine is not null) collecting.RunAfter(operation.Target, [id], options with { Warn = options.Log, Cancellation = CancellationToken.None });
        }
    }

    private static void Forget(EngineContext context, OperationRow operation, CopyRow copy, VolumeRow volume, bool discard)
    {
        if (discard) discard = IsUnused(context, volume);
        var layer = context.Catalog.Layers.Get(copy.LayerId);
        // One that failed in its last moment, when the copy was in place.
        var whole = !discard && context.Storage.StandsAlone(layer.File) ? LayerFiles.Measure(context.Storage, layer) : null;
        context.Database.Write(() =>
        {
            context.Catalog.Layers.AddGarbage(copy.Location);
            context.Catalog.Copies.Delete(operation.Id);
            if (discard) VolumeRemoval.Forget(context, [volume]);
            if (whole is not null)
            {
                context.Catalog.Layers.SetParent(layer.Id, null);
                context.Catalog.Layers.SetFacts(layer.Id, whole);
            }
            string rest = discard ? "the clone was discarded" : whole is not null ? "the clone owns all of its data already" : "the clone stays linked to its source";
            context.Catalog.Operations.End(operation.Id, OperationState.Cancelled, $"Stopped; {rest}.");
        });
    }

    /// <summary>Refuses to discard a clone that has become more than a clone.</summary>
    public static void RequireUnused(EngineContext context, VolumeRow volume)
    {
        if (context.Catalog.Volumes.AttachedTo(volume.Id) is [var vm, ..])
            throw new SnapshotException(ErrorIds.VolumeAttached, ErrorKind.Conflict,
                $"Volume '{volume.Name}' is attached to VM '{vm}' and cannot be discarded. Detach it first: Dismount-VmVolume {vm} {volume.Name}; or stop without -Discard, which leaves it a linked clone.", volume.Name);
        VolumeRemoval.Plan(context, [volume], "", removeSnapshots: false, isDiscarded: true);
    }

    /// <summary>Whether it may still be discarded, asked in the last moment.</summary>
    private static bool IsUnused(EngineContext context, VolumeRow volume)
    {
        try
        {
            RequireUnused(context, volume);
            return true;
        }
        catch (SnapshotException)
        {
            return false;
        }
    }
}
