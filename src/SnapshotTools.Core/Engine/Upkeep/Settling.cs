using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Upkeep;

/// <summary>
/// Settles, when a store is opened, what a process left that was killed: takes back what was not committed, deletes what
/// was forgotten, lets stable paths follow. After a restart of the machine all stable paths are looked at, since theirs is
/// the one change that is not waited for to be durable.
/// </summary>
internal sealed class Settling(EngineContext context, Action<string>? log)
{
    private static readonly TimeSpan DeathPatience = TimeSpan.FromSeconds(30);

    /// <summary>Settles; finding nothing to do costs a few queries.</summary>
    public void Run(string bootId)
    {
        bool isSettled = context.Catalog.GetBootId() == bootId && context.Catalog.Operations.Running().Count == 0
            && context.Catalog.Layers.Unpublished().Count == 0 && context.Catalog.Layers.Garbage().Count == 0;
        if (isSettled)
        {
            context.Ledger.Save();   // another session may be a second behind with it, which is nothing to settle
            return;
        }
        using var alone = context.Locks.TryAcquire(LockKey.Store);
        if (alone is null) return;   // somebody else is settling
        foreach (var operation in context.Catalog.Operations.Running()) TryTakeBackIfDead(operation);
        foreach (long volumeId in context.Catalog.Layers.VolumesWithUnneededLayers()) Collect(volumeId);
        bool isNewBoot = context.Catalog.GetBootId() != bootId;
        var unpublished = context.Catalog.Layers.Unpublished();
        var paths = new StablePaths(context);
        foreach (long volumeId in isNewBoot ? context.Catalog.Volumes.All().ConvertAll(v => v.Id) : unpublished)
            if (paths.Mend(volumeId) is { } name) log?.Invoke($"The stable path of volume '{name}' leads to its head again.");
        if (isNewBoot || unpublished.Count > 0) context.Storage.Delete(context.Storage.LeftLinks(), isDurable: false);
        if (context.Catalog.Layers.Garbage() is { Count: > 0 } garbage)
        {
            new Collecting(context).DeleteGarbage();
            log?.Invoke($"Deleted {garbage.Count} files that nothing needs.");
        }
        if (isNewBoot) context.Catalog.SetBootId(bootId);
        context.Ledger.Save(whole: isNewBoot);
    }

    /// <summary>
    /// Takes back what a process that died since the store was opened left on volumes whose locks are held: its pending layers lie
    /// on layers that the holder may be about to drop; and a copy of its that is in place already must be so in the catalog before a
    /// machine is started by that.
    /// </summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.SharedVolumeBusy"/></exception>
    public void TakeBackOn(IReadOnlyCollection<LockKey> held, CancellationToken cancellation)
    {
        foreach (var operation in context.Catalog.Operations.Running())
        {
            if (context.Catalog.Copies.Find(operation.Id) is { } copy && held.Contains(LockKey.Volume(copy.VolumeId))) TakeBackIfDead(operation);
            var below = context.Database.Read(() => context.Catalog.Pending.Of(operation.Id).FindAll(p => p.ParentId is not null).ConvertAll(p => context.Catalog.Layers.Get(p.ParentId!.Value)));
            if (!below.Exists(l => l.VolumeId is { } volume && held.Contains(LockKey.Volume(volume)))) continue;
            // It had the volume's lock too. Its process is about to end, and the kernel lets go of one lock after the other; or somebody else takes it back.
            using (var mine = context.Locks.Acquire([LockKey.Operation(operation.Id)], DeathPatience, _ => StillThere(operation), null, cancellation)) TakeBack(operation);
        }
    }

    private static SnapshotException StillThere(OperationRow operation) => new(ErrorIds.SharedVolumeBusy, ErrorKind.Busy,
        $"Operation '{operation.Kind} {operation.Target}' of process {operation.ProcessId} was not taken back in {DeathPatience.TotalSeconds:0} s, and its volumes cannot be used before. See whether that process can end, then try again.", operation.Target);

    /// <summary>Says of an operation whose process is dead that it was interrupted, and takes back what it must not leave.</summary>
    public void TakeBackIfDead(OperationRow operation)
    {
        using var mine = context.Locks.TryAcquire(LockKey.Operation(operation.Id));
        if (mine is not null) TakeBack(operation);   // else its process is alive
    }

    /// <summary>The same for a store that must open whatever one machine does: where that does not say what it writes to, all stays as it is, and
    /// who locks those volumes asks it again. False then.</summary>
    public bool TryTakeBackIfDead(OperationRow operation)
    {
        try
        {
            TakeBackIfDead(operation);
            return true;
        }
        catch (SnapshotException error) when (IsUnanswered(error))
        {
            log?.Invoke($"Operation '{operation.Kind} {operation.Target}' was interrupted, and is taken back later: {error.Message}");
            return false;
        }
    }

    private static bool IsUnanswered(SnapshotException error) => error.ErrorId is ErrorIds.VmBusy or ErrorIds.VmNotResponding or ErrorIds.ComputeFailed;

    private void TakeBack(OperationRow operation)
    {
        if (context.Catalog.Operations.Get(operation.Id) is not { State: OperationState.Running } now) return;   // somebody else was faster
        if (context.Catalog.Copies.Find(now.Id) is { } copy)
        {
            Clones.VolumeCopy.Settle(context, now, copy);
            log?.Invoke($"Operation '{now.Kind} {now.Target}' was interrupted. It goes on: Resume-SnapshotOperation {now.Uid}");
            return;
        }
        if (now.Kind == OperationKind.Restore && !GoesOn(now)) return;
        OperationRun.TakeBack(context, now, OperationState.Interrupted, $"Process {now.ProcessId} ended before the operation did.");
        log?.Invoke($"Operation '{now.Kind} {now.Target}' of {now.StartedAt:u} was interrupted; what it had not committed was taken back.");
    }

    /// <summary>
    /// A restore that died between the saving of the present memory and its commit leaves the guest standing: nobody could set it going before
    /// it was known that the memory is no snapshot's. False when another session talks to the machine, so that this is for a later opening.
    /// </summary>
    private bool GoesOn(OperationRow restore)
    {
        string name = restore.Target.Split('/')[0];
        if (context.Catalog.Machines.FindByName(name) is not { FailedRestore: null } vm) return true;
        using var mine = context.Locks.TryAcquire(LockKey.Vm(vm.Id));
        if (mine is null) return true;  // an operation is at it, and does with the machine what it has to
        try
        {
            using var machine = Power.PoweredMachines.FindMachine(context, vm);
            if (machine?.GoOnAfterSuspend() == true) log?.Invoke($"The guest of VM '{name}' stood since its restore was interrupted, and goes on.");
            return true;
        }
        catch (SnapshotException error)
        {
            log?.Invoke($"VM '{name}' could not be asked whether it stands since its restore was interrupted: {error.Message} If it is paused, let it go on: Resume-VmInstance {name}");
            return error.ErrorId is not (ErrorIds.VmBusy or ErrorIds.VmNotResponding);
        }
    }

    /// <summary>Forgets layers that nothing lies on; merges copy data, and so are not for the opening of a store.</summary>
    private void Collect(long volumeId)
    {
        using var mine = context.Locks.TryAcquire(LockKey.Volume(volumeId));
        if (mine is null) return;   // an operation is at it
        try
        {
            Power.LiveMerging.Settle(context, volumeId);
        }
        catch (SnapshotException error) when (IsUnanswered(error))
        {
            log?.Invoke($"What became of a merge of volume '{context.Catalog.Volumes.Get(volumeId).Name}' is looked at later: {error.Message}");
            return;
        }
        var plan = LayerCollector.Plan(context.Catalog.Layers.ForCollector(volumeId));
        if (plan.Deletes.Count > 0) context.Database.Write(() => new Collecting(context).DropDeleted(plan));
        if (plan.Merges.Count > 0)
            log?.Invoke($"Volume '{context.Catalog.Volumes.Get(volumeId).Name}' has {plan.Merges.Count} layers that nothing needs any more. Run Optimize-SnapshotStore to merge them.");
    }
}
