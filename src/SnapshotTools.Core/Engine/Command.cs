using SnapshotTools.Core.Catalog;
using SnapshotTools.IO;

namespace SnapshotTools.Core.Engine;

/// <summary>
/// One thing that the engine can do. It is planned without effect; the run takes the locks, plans again on what is there
/// then, and goes on only when that is still the same plan.
/// </summary>
/// <typeparam name="TResult">What the run gives back.</typeparam>
internal abstract class Command<TResult>(EngineContext context)
{
    private const int PlanAttempts = 6;
    private static readonly TimeSpan BetweenPlans = TimeSpan.FromMilliseconds(20);

    private IReadOnlyCollection<LockKey> _keys = [];

    protected EngineContext Context { get; } = context;

    protected StoreCatalog Catalog => Context.Catalog;

    protected IStoragePlane Storage => Context.Storage;

    /// <summary>Plans, and gives what runs the plan.</summary>
    public PlannedOperation<TResult> Prepare() => new(PlanAndKeys(), Run);

    /// <summary>What must not change or be used by another operation meanwhile. Asked after <see cref="Plan"/>, by which it may go.</summary>
    protected abstract IReadOnlyCollection<LockKey> Locks();

    /// <summary>Checks the rules and says what will be done. Leaves in fields what <see cref="Execute"/> needs.</summary>
    protected abstract OperationPlan Plan();

    /// <summary>Does it.</summary>
    protected abstract TResult Execute(OperationPlan plan, RunOptions options);

    private TResult Run(OperationPlan planned, RunOptions options) => Checked(() =>
    {
        try
        {
            using var locks = TakeLocks(options, out var plan);
            if (planned.IsDestructive && !planned.DoesTheSameAs(plan))
                throw new SnapshotException(ErrorIds.PlanOutdated, ErrorKind.Conflict,
                    $"'{planned.Target}' changed since this was planned, so that it would do something else now. Nothing was done. Look at the new plan with -WhatIf and run it again.", planned.Target);
            return Execute(plan, options);
        }
        finally
        {
            Context.Ledger.SaveNowAndThen();
        }
    });

    private OperationPlan PlanAndKeys()
    {
        // Not all that it looks at is locked yet: another process may merge away a layer that this view of the catalog still has.
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                return Context.Database.Read(() => Checked(() =>
                {
                    var plan = Plan();
                    _keys = Locks();
                    return plan;
                }));
            }
            catch (SnapshotException error) when (attempt < PlanAttempts && (error.ErrorId == ErrorIds.LayerDamaged || error.InnerException is FileNotFoundException))
            {
                Thread.Sleep(BetweenPlans);
            }
        }
    }

    /// <summary>Takes the locks, and plans on what is there when nobody else can change it any more.</summary>
    private IDisposable TakeLocks(RunOptions options, out OperationPlan plan)
    {
        while (true)
        {
            var keys = _keys;
            var held = Context.Locks.Acquire(keys, options.WaitForLock, Busy, key => options.Log?.Invoke($"waiting: {Busy(key).Message}"), options.Cancellation);
            try
            {
                if (Catalog.Operations.Running().Count > 0) new Upkeep.Settling(Context, options.Log).TakeBackOn(keys, options.Cancellation);
                foreach (var key in keys.Where(k => k.Kind == LockKey.Kinds.Vm)) Power.InterruptedStart.Settle(Context, key.Id);
                plan = PlanAndKeys();
                if (_keys.All(keys.Contains)) return held;
            }
            catch
            {
                held.Dispose();
                throw;
            }
            held.Dispose();   // another process attached a volume in between
        }
    }

    private SnapshotException Busy(LockKey key)
    {
        string name = key.Kind == LockKey.Kinds.Vm ? Catalog.Machines.Get(key.Id).Name : key.Kind == LockKey.Kinds.Volume ? Catalog.Volumes.Get(key.Id).Name : Context.Store;
        var at = Catalog.Operations.Open().FirstOrDefault(o => o.Target == name || o.Target.StartsWith(name + "/", StringComparison.Ordinal));
        string by = at is null ? "another operation" : $"operation '{at.Kind} {at.Target}' of process {at.ProcessId}";
        return key.Kind == LockKey.Kinds.Vm
            ? new SnapshotException(ErrorIds.VmBusy, ErrorKind.Busy, $"VM '{name}' is busy with {by}. Wait for it with -Wait, or see Get-SnapshotOperation.", name)
            : new SnapshotException(ErrorIds.SharedVolumeBusy, ErrorKind.Busy, $"Volume '{name}' is busy with {by}. Wait for it with -Wait, or see Get-SnapshotOperation.", name);
    }

    /// <summary>Turns the failures of disks and files into errors with an id.</summary>
    private T Checked<T>(Func<T> work)
    {
        try
        {
            return work();
        }
        catch (DiskFullException error)
        {
            throw new SnapshotException(ErrorIds.NotEnoughSpace, ErrorKind.NoSpace,
                $"The disk became full: {error.Message} What had been begun was taken back. Free some space in store '{Context.Store}' and try again.", Context.Store, cause: error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new SnapshotException(ErrorIds.StoreIoFailed, ErrorKind.Failed,
                $"{error.Message} The operation was not done. See to the disk of store '{Context.Store}', then run Test-SnapshotStore.", Context.Store, cause: error);
        }
    }
}
