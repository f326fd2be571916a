using System.Runtime.ExceptionServices;
using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Clones;
using SnapshotTools.Core.Engine.Power;

namespace SnapshotTools.Core.Engine.Snapshots;

/// <summary>
/// Restores a VM: branches new heads from the snapshot's layers and makes them the present in one transaction, in which the
/// present until then becomes the backup snapshot; without -KeepBackup that goes in the same moment. A restore that fails
/// leaves the VM in state Error with its backup snapshot, and this command ends that state either way.
/// </summary>
internal sealed class RestoreVmSnapshot(EngineContext context, RestoreRequest request) : Command<VmInstance>(context)
{
    private const int Attempts = 3;
    private static readonly TimeSpan BetweenAttempts = TimeSpan.FromSeconds(1);

    private readonly Collecting _collecting = new(context);
    private RestoreChoice _choice = null!;
    private RestoreBackup _backup = null!;

    private string VmName => _choice.Vm.Name;

    private bool IsRollback => _choice.Failed is not null && request.FailAction == FailAction.Rollback;

    protected override IReadOnlyCollection<LockKey> Locks() => StartVm.LocksOf(Context, _choice.Vm);

    protected override OperationPlan Plan()
    {
        _choice = RestoreChoice.Of(Context, request);
        var plans = new RestorePlans(Context, _choice, _collecting);
        if (IsRollback) return plans.OfRollback();
        if (_choice.Ran && _choice.Failed is null && !request.StopVm) throw _choice.MustBeStopped(Context);
        foreach (var layer in _choice.Layers) LayerFiles.Measure(Storage, layer);
        RequireFiles();
        CopyRules.RequireNoCopy(Context, _choice.Restored, "restored");
        return plans.OfRestore();
    }

    /// <summary>The present is not given up for a snapshot that nothing could go on from.</summary>
    private void RequireFiles()
    {
        if (!_choice.IsWhole) return;
        Require(_choice.Memory, ErrorIds.MemoryMissing, "memory of checkpoint");
        Require(Catalog.Machines.FirmwareOfSnapshot(_choice.Snapshot.Id), ErrorIds.FirmwareMissing, "copy of the firmware's variables of snapshot");
    }

    private void Require(string? location, string errorId, string what)
    {
        if (location is null || Context.HasFile(location)) return;
        throw new SnapshotException(errorId, ErrorKind.Damaged,
            $"The {what} '{_choice.Snapshot.Name}' of VM '{VmName}' is missing: '{Storage.PathOf(location)}'. Nothing was changed. Put the file back; or make a VM of its disks: Copy-VmInstance {VmName} -SnapshotName {_choice.Snapshot.Name}", _choice.Snapshot.Name);
    }

    protected override VmInstance Execute(OperationPlan plan, RunOptions options)
    {
        if (!IsRollback && _choice.WithoutMemory is { Length: > 0 } warning) options.Warn?.Invoke(warning.TrimStart());
        _backup = new RestoreBackup(Context, _choice);
        _backup.StopMachine(plan, options);
        bool isTidy = false;
        if (IsRollback)
        {
            using var run = OperationRun.Begin(Context, OperationKind.Restore, plan.Target, options);
            run.Commit(_backup.Return);
        }
        else isTidy = Restore(plan, options);
        _collecting.RunAfter(plan.Target, [.. _choice.Parts.Select(p => p.VolumeId)], options, isTidy);
        // A checkpoint waits for its start, as it was asked for; what ran before runs again.
        if (request.Start || (_choice.Ran && (IsRollback || Catalog.Machines.Get(_choice.Vm.Id).SuspendedMemory is null)))
            Start(request.Start, _choice.Ran ? options with { Cancellation = CancellationToken.None } : options);   // the restore is done: Ctrl+C does not leave a VM off that ran
        return Context.Database.Read(() => Context.ToModel(Catalog.Machines.Get(_choice.Vm.Id)));
    }

    /// <summary>Restores, and says whether no layer is left that nothing needs.</summary>
    private bool Restore(OperationPlan plan, RunOptions options)
    {
        if (TryRestore(plan, options, out bool isTidy) is not { } error) return isTidy;
        if (error is SnapshotException or IOException or UnauthorizedAccessException) throw GiveUp(error, options);
        if (error is OperationCanceledException && _choice.Failed is null) TakeBack(options);
        ExceptionDispatchInfo.Throw(error);
        return false;
    }

    private Exception? TryRestore(OperationPlan plan, RunOptions options, out bool isTidy)
    {
        using var reserved = Reserve(options);
        for (int attempt = 1; ; attempt++)
        {
            if (Attempt(plan, options, out isTidy) is not { } error) return null;
            if (error is not (SnapshotException or IOException or UnauthorizedAccessException) || request.FailAction != FailAction.Retry || attempt == Attempts) return error;
            options.Warn?.Invoke($"Restoring VM '{VmName}' failed ({error.Message}). Trying again.");
            options.Cancellation.WaitHandle.WaitOne(BetweenAttempts);
        }
    }

    private Exception? Attempt(OperationPlan plan, RunOptions options, out bool isTidy)
    {
        isTidy = false;
        RestoreSwitch work;
        try
        {
            work = Context.Database.Read(() => new RestoreSwitch(Context, _choice, _backup, _collecting, request.NewGenerationId));
        }
        catch (Exception error)
        {
            return error;
        }
        using var run = OperationRun.Begin(Context, OperationKind.Restore, plan.Target, options, work.Register);
        try
        {
            isTidy = work.Run(run);
            return null;
        }
        catch (Exception error)
        {
            run.Fail(error);
            return error;
        }
    }

    /// <summary>An image that somebody else has open is a rule broken, not a restore that failed: the VM goes on.</summary>
    private IDisposable Reserve(RunOptions options)
    {
        var others = _choice.KeepBackup ? _backup.OtherParts() : [];
        try
        {
            return Storage.Reserve([.. _choice.Heads.Select(l => l.File), .. Catalog.Layers.Of(Catalog.Volumes.Of(others, p => p.VolumeId), v => v.HeadId).Select(l => l.File)]);
        }
        catch (SnapshotException) when (_choice.Failed is null)
        {
            TakeBack(options);
            throw;
        }
    }

    /// <summary>The restore failed for good. Nothing was switched: the present is what it was.</summary>
    private SnapshotException GiveUp(Exception error, RunOptions options)
    {
        if (request.FailAction == FailAction.Rollback)
            return new SnapshotException(ErrorIds.RestoreRolledBack, ErrorKind.Failed,
                $"Restoring VM '{VmName}' to snapshot '{_choice.Snapshot.Name}' failed and was rolled back; {TakeBack(options)} {error.Message}", VmName, cause: error);
        Context.Database.Write(() => _backup.SetError(error.Message));
        string memory = _backup.Find()?.Memory is null ? "" : ", with its memory,";
        return new SnapshotException(ErrorIds.RestoreFailed, ErrorKind.Failed,
            $"Restoring VM '{VmName}' to snapshot '{_choice.Snapshot.Name}' failed: {error.Message} The VM is in state Error and its present state{memory} is kept in a backup snapshot. Go on: Restore-VmSnapshot {VmName} -FailAction Retry; or return: Restore-VmSnapshot {VmName} -FailAction Rollback", VmName, cause: error);
    }

    /// <summary>Makes the VM what it was, running if it ran; gives a sentence about it.</summary>
    private string TakeBack(RunOptions options)
    {
        bool hasMemory = _backup.Find()?.Memory is not null;
        Context.Database.Write(_backup.Return);
        if (!_choice.Ran) return "the VM is as it was before.";
        try
        {
            Start(false, options with { Cancellation = CancellationToken.None });
            return hasMemory ? "the VM goes on from the second at which it was stopped." : "the VM was started again, without its memory.";
        }
        catch (Exception error) when (error is SnapshotException or IOException or UnauthorizedAccessException)
        {
            options.Warn?.Invoke($"VM '{VmName}' is as it was before the restore, but it could not be started again: {error.Message} Start it when the cause is gone: Start-VmInstance {VmName}");
            return $"the VM is as it was before, but not started{(hasMemory ? "; its memory is kept" : "")}: Start-VmInstance {VmName}.";
        }
    }

    private void Start(bool wanted, RunOptions options)
    {
        var vm = Catalog.Machines.Get(_choice.Vm.Id);
        StartVm.Start(Context, vm, Context.StateOf(vm), paused: !wanted && _choice.State == VmState.Paused, options);
    }
}
