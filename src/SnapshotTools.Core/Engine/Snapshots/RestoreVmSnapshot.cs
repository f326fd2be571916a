using System.Globalization;
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
    private readonly DateTimeOffset _startedAt = DateTimeOffset.UtcNow;
    private VmRow _vm = null!;
    private FailedRestore? _failed;
    private VmSnapshotRow _snapshot = null!;
    private List<VolumeSnapshotRow> _parts = null!;
    private long[]? _replaced;
    private bool _keepBackup;
    private bool _isRunning;

    protected override IReadOnlyCollection<LockKey> Locks()
    {
        var row = Context.ResolveVm(request.Vm);
        return [LockKey.Vm(row.Id), .. Catalog.Machines.Attachments(row.Id).Select(a => LockKey.Volume(a.VolumeId))];
    }

    protected override OperationPlan Plan()
    {
        _vm = Context.ResolveVm(request.Vm);
        _failed = _vm.FailedRestore is null ? null : Json.Read<FailedRestore>(_vm.FailedRestore);
        Choose();
        if (_failed is not null && request.FailAction == FailAction.Rollback) return PlanRollback();
        _isRunning = Context.StateOf(_vm) is VmState.Running or VmState.Paused;
        if (_isRunning && !request.StopVm) throw MustBeStopped();
        foreach (var part in _parts) LayerFiles.Measure(Storage, Catalog.Layers.Get(part.LayerId));
        foreach (var part in _parts) CopyRules.RequireNoCopy(Context, Catalog.Volumes.Get(part.VolumeId), "restored");
        return PlanRestore();
    }

    protected override VmInstance Execute(OperationPlan plan, RunOptions options)
    {
        if (_failed is not null && request.FailAction == FailAction.Rollback) RollBack(plan, options);
        else
        {
            if (_isRunning) StopMachine(plan, options);
            RestoreWithFailAction(plan, options);
        }
        _collecting.RunAfter(plan.Target, [.. _parts.Select(p => p.VolumeId)], options, _replaced);
        _vm = Catalog.Machines.Get(_vm.Id);
        if (request.Start || (_isRunning && _vm.SuspendedMemory is null)) StartVm.Start(Context, _vm, Context.StateOf(_vm), paused: false, options);
        return Context.ToModel(Catalog.Machines.Get(_vm.Id));
    }

    private void StopMachine(OperationPlan plan, RunOptions options)
    {
        using var machine = Context.FindMachine(_vm);
        if (machine is null) return;
        bool isWhole = _parts.Count == Catalog.Machines.Attachments(_vm.Id).Count;   // a memory belongs to all disks or to none
        if (_keepBackup && isWhole && _failed is null && Context.Compute!.Capabilities.CanSaveMemory) StopWithMemory(machine, plan, options);
        else machine.Stop(turnOff: true, TimeSpan.Zero, options.Cancellation);   // its present is not kept
        options.Log?.Invoke($"VM '{_vm.Name}' is stopped");
    }

    /// <summary>
    /// The backup snapshot of a running VM has its memory. It is saved with the guest standing, since it goes no further; and from the moment that the machine is gone the VM is in state Error with that backup, until the restore is committed.
    /// </summary>
    private void StopWithMemory(IRunningMachine machine, OperationPlan plan, RunOptions options)
    {
        string location = Storage.NewMemoryLocation(Guid.CreateVersion7());
        using var run = OperationRun.Begin(Context, OperationKind.Restore, plan.Target, options, id => Catalog.Layers.InsertPendingMemory(id, Guid.CreateVersion7(), location));
        try
        {
            long bytes = machine.Suspend(Storage.PathOf(location), run.Cancellation);
            run.Log($"the memory of the backup is durable: {ByteSize.Format(bytes)}");
            var volumes = _parts.ConvertAll(p => Catalog.Volumes.Get(p.VolumeId));
            Storage.MakeDurable([.. volumes.Select(v => Catalog.Layers.Get(v.HeadId).File)]);
            FailedRestore? interrupted = null;
            run.Commit(() =>
            {
                var backup = InsertBackup(volumes, null, location, bytes);
                Catalog.Layers.KeepPendingMemory(location);
                interrupted = new FailedRestore(_snapshot.Uid, [.. request.Volumes], backup, _keepBackup);
                Catalog.Machines.SetError(_vm.Id, "it was interrupted.", Json.Write(interrupted));
            });
            _failed = interrupted;
        }
        catch (SnapshotException error) when (error.ErrorId is ErrorIds.MemoryNotAvailable or ErrorIds.ComputeFailed)
        {
            run.Fail(error);
            options.Warn?.Invoke($"The backup snapshot of VM '{_vm.Name}' has no memory: {error.Message}");
            machine.Stop(turnOff: true, TimeSpan.Zero, options.Cancellation);
        }
        catch (Exception error)
        {
            run.Fail(error);
            throw;
        }
    }

    private SnapshotException MustBeStopped()
    {
        var boot = Catalog.Machines.Attachments(_vm.Id).Where(a => a.Boot).Select(a => a.VolumeId).ToHashSet();
        return _parts.Exists(p => boot.Contains(p.VolumeId))
            ? new SnapshotException(ErrorIds.VmNotStopped, ErrorKind.Conflict, $"VM '{_vm.Name}' is running, and its boot volume cannot be restored under it. Use -StopVm, or stop it first: Stop-VmInstance {_vm.Name}", _vm.Name)
            : new SnapshotException(ErrorIds.VolumeInUse, ErrorKind.Conflict, $"VM '{_vm.Name}' is running and uses the volumes that would be restored. Use -StopVm, or stop it first: Stop-VmInstance {_vm.Name}", _vm.Name);
    }

    /// <summary>Which snapshot and volumes: those that were named, or those of the restore that failed.</summary>
    private void Choose()
    {
        if (_failed is null)
        {
            if (request.Snapshot is null)
                throw new SnapshotException(ErrorIds.NoFailedRestore, ErrorKind.Conflict, $"VM '{_vm.Name}' has no failed restore to go on with. Name the snapshot to restore: Restore-VmSnapshot {_vm.Name} <snapshot>", _vm.Name);
            _snapshot = Context.ResolveSnapshot(_vm, request.Snapshot);
            _keepBackup = request.KeepBackup;
            _parts = SnapshotParts(request.Volumes);
            return;
        }
        if (request.FailAction == FailAction.None) VmRules.RequireNoError(_vm);
        _snapshot = Context.ResolveSnapshot(_vm, _failed.Snapshot.ToString());
        if (request.Snapshot is not null && Context.ResolveSnapshot(_vm, request.Snapshot).Id != _snapshot.Id)
            throw new SnapshotException(ErrorIds.VmInError, ErrorKind.Conflict,
                $"The restore of VM '{_vm.Name}' that failed was to snapshot '{_snapshot.Name}'. End it first: Restore-VmSnapshot {_vm.Name} -FailAction Retry, or -FailAction Rollback.", _vm.Name);
        _keepBackup = _failed.KeepBackup || request.KeepBackup;
        _parts = SnapshotParts(_failed.Volumes);
    }

    private List<VolumeSnapshotRow> SnapshotParts(IReadOnlyList<string> wanted)
    {
        var all = Catalog.Snapshots.OfVmSnapshot(_snapshot.Id);
        var volumes = all.ConvertAll(p => Catalog.Volumes.Get(p.VolumeId));
        foreach (string name in wanted)
        {
            var matches = Names.Matcher([name]);
            if (!volumes.Exists(v => matches(v.Name, v.Uid)))
                throw new SnapshotException(ErrorIds.NotOriginalVolume, ErrorKind.InvalidInput,
                    $"Volume '{Names.Shown(name)}' is not part of snapshot '{_snapshot.Name}' of VM '{_vm.Name}', which has {string.Join(", ", volumes.Select(v => $"'{v.Name}'"))}. A snapshot restores onto its own volumes only; make another disk from it with New-VmVolume -FromSnapshot.", Names.Shown(name));
        }
        var any = Names.Matcher(wanted);
        return all.Where((_, i) => any(volumes[i].Name, volumes[i].Uid)).ToList();
    }

    private OperationPlan PlanRestore()
    {
        var steps = new List<PlanStep>();
        var lost = new List<string>();
        if (_isRunning) steps.Add(new PlanStep(PlanAction.StopVm, _vm.Name, $"turn VM '{_vm.Name}' off"));
        if (_keepBackup) steps.Add(new PlanStep(PlanAction.Backup, _vm.Name, $"keep the present state of VM '{_vm.Name}' as a backup snapshot"));
        if (_isRunning) lost.Add($"what the guest of VM '{_vm.Name}' has in memory and has not written to its disks");
        foreach (var part in _parts)
        {
            var volume = Catalog.Volumes.Get(part.VolumeId);
            steps.Add(new PlanStep(PlanAction.Branch, volume.Name, $"put a new head for volume '{volume.Name}' over snapshot '{_snapshot.Name}'"));
            if (_keepBackup) continue;
            var head = Catalog.Layers.Get(volume.HeadId);
            var since = volume.PresentId is { } id ? Catalog.Snapshots.FindVolumeSnapshot(id) : null;
            lost.Add($"the present state of volume '{volume.Name}': {ByteSize.Format(LayerFiles.Measure(Storage, head).AllocatedBytes)} written since {(since is null ? "it was made" : $"snapshot '{since.Name}'")}");
            steps.AddRange(_collecting.Describe(volume.Name, _collecting.PlanAround(volume.Id, [head.Id], [head.Id])));
        }
        long space = NewHeads.SpaceFor(Storage, _parts.Select(p => Catalog.Layers.Get(p.LayerId).Size));
        Context.RequireSpace(space, $"Restoring VM '{_vm.Name}'");
        return new OperationPlan
        {
            Kind = OperationKind.Restore,
            Target = $"{_vm.Name}/{_snapshot.Name}",
            Summary = string.Create(CultureInfo.InvariantCulture, $"Restore VM '{_vm.Name}' to snapshot '{_snapshot.Name}' of {_snapshot.CreatedAt.ToLocalTime():yyyy-MM-dd HH:mm:ss}."),
            Steps = steps,
            Lost = lost,
            SpaceNeeded = space,
        };
    }

    private OperationPlan PlanRollback()
    {
        var backup = Catalog.Snapshots.OfVm(_vm.Id).First(s => s.Uid == _failed!.Backup);
        return new OperationPlan
        {
            Kind = OperationKind.Restore,
            Target = $"{_vm.Name}/{_snapshot.Name}",
            Summary = $"Return VM '{_vm.Name}' to the state before the restore of snapshot '{_snapshot.Name}' that failed.",
            Steps = [new PlanStep(PlanAction.Forget, backup.Uid.ToString(), $"forget the backup snapshot '{backup.Name}', whose state is the present again")],
        };
    }

    private void RestoreWithFailAction(OperationPlan plan, RunOptions options)
    {
        // An image that somebody else has open is a rule broken, not a restore that failed.
        using var reserved = Storage.Reserve([.. _parts.Select(p => Catalog.Layers.Get(Catalog.Volumes.Get(p.VolumeId).HeadId).File)]);
        for (int attempt = 1; ; attempt++)
        {
            using var run = OperationRun.Begin(Context, OperationKind.Restore, plan.Target, options);
            try
            {
                Restore(run);
                break;
            }
            catch (Exception error) when (error is SnapshotException or IOException or UnauthorizedAccessException)
            {
                run.Fail(error);
                if (request.FailAction == FailAction.Retry && attempt < Attempts)
                {
                    options.Warn?.Invoke($"Restoring VM '{_vm.Name}' failed ({error.Message}). Trying again.");
                    options.Cancellation.WaitHandle.WaitOne(BetweenAttempts);
                    continue;
                }
                throw GiveUp(error);
            }
            catch (Exception error)
            {
                run.Fail(error);
                throw;
            }
        }
    }

    private void Restore(OperationRun run)
    {
        var volumes = _parts.ConvertAll(p => Catalog.Volumes.Get(p.VolumeId));
        var replaced = volumes.ConvertAll(v => Catalog.Layers.Get(v.HeadId));
        _replaced = [.. replaced.SelectMany(l => new[] { l.Id, l.ParentId ?? l.Id })];
        var heads = new NewHeads(Context);
        for (int i = 0; i < _parts.Count; i++) heads.Add(volumes[i], Catalog.Layers.Get(_parts[i].LayerId), Context.IdentityOf(_parts[i]));

        bool isWhole = _parts.Count == Catalog.Snapshots.OfVmSnapshot(_snapshot.Id).Count;
        string? ofSnapshot = isWhole ? Catalog.Machines.FirmwareOfSnapshot(_snapshot.Id) : null;
        string? variables = ofSnapshot is null ? null : Storage.NewMemoryLocation(Guid.CreateVersion7());
        run.Register(id =>
        {
            heads.Register(id);
            if (variables is not null) Catalog.Layers.InsertPendingMemory(id, Guid.CreateVersion7(), variables);
        });
        heads.Create();
        if (variables is not null) FirmwareFiles.Copy(Context, ofSnapshot!, variables);
        run.Log($"{_parts.Count} new heads are durable");
        if (_keepBackup) Storage.MakeDurable([.. replaced.Select(l => l.File)]);
        var facts = replaced.ConvertAll(l => LayerFiles.Measure(Storage, l));
        run.Cancellation.ThrowIfCancellationRequested();
        run.Commit(() =>
        {
            var earlierBackup = _failed is null ? null : Catalog.Snapshots.OfVm(_vm.Id).Find(s => s.Uid == _failed.Backup);
            if (_keepBackup && earlierBackup is null) InsertBackup(volumes, replaced);
            if (!_keepBackup && earlierBackup is not null) DeleteBackup(earlierBackup);
            heads.Commit();
            for (int i = 0; i < volumes.Count; i++)
            {
                Catalog.Layers.Freeze(replaced[i].Id, facts[i]);
                Catalog.Volumes.SetPresent(volumes[i].Id, _parts[i].Id);
            }
            if (!_keepBackup)
                for (int i = 0; i < volumes.Count; i++) _collecting.DropDeleted(_collecting.PlanAround(volumes[i].Id, [replaced[i].Id]));
            if (variables is not null) Adopt(variables);
            if (isWhole)
            {
                Catalog.Machines.SetPresent(_vm.Id, _snapshot.Id);
                Catalog.Machines.SetMemory(_vm.Id, _snapshot.Memory);
                Catalog.Machines.SetConfiguration(_vm.Id, Json.Read<VmConfiguration>(_snapshot.Configuration));
            }
            else Catalog.Machines.SetMemory(_vm.Id, null);   // it was of other disks
            if (request.NewGenerationId) Catalog.Machines.SetNewGeneration(_vm.Id);
            Catalog.Machines.SetError(_vm.Id, null, null);
        });
        run.Afterwards(() =>
        {
            if (_keepBackup)
                foreach (var layer in replaced) Storage.SetFrozen(layer.File, true);
            heads.Publish();
        });
        run.Log("the stable paths lead to the new heads");
    }

    /// <summary>The VM gets the snapshot's firmware variables; its own go to the backup, if that stays.</summary>
    private void Adopt(string variables)
    {
        Catalog.Layers.KeepPendingMemory(variables);
        if (Catalog.Machines.Firmware(_vm.Id) is { } old)
        {
            var backup = _keepBackup ? Catalog.Snapshots.OfVm(_vm.Id).FindLast(s => s.IsBackup && s.CreatedAt >= _startedAt.AddTicks(-1)) : null;
            if (backup is not null && Catalog.Machines.FirmwareOfSnapshot(backup.Id) is null) Catalog.Machines.SetFirmwareOfSnapshot(backup.Id, old);
            else Catalog.Layers.AddGarbage(old);
        }
        Catalog.Machines.SetFirmware(_vm.Id, variables);
    }

    /// <summary>The restore failed for good. Nothing was switched: the present is what it was.</summary>
    private SnapshotException GiveUp(Exception error)
    {
        if (request.FailAction == FailAction.Rollback)
        {
            if (_failed is not null) Context.Database.Write(ReturnToBackup);
            return new SnapshotException(ErrorIds.RestoreRolledBack, ErrorKind.Failed,
                $"Restoring VM '{_vm.Name}' to snapshot '{_snapshot.Name}' failed and was rolled back; the VM is as it was before{(_failed is null ? "" : ", suspended")}. {error.Message}", _vm.Name, cause: error);
        }
        Context.Database.Write(() =>
        {
            var backup = _failed?.Backup ?? InsertBackup(_parts.ConvertAll(p => Catalog.Volumes.Get(p.VolumeId)), null);
            Catalog.Machines.SetError(_vm.Id, error.Message, Json.Write(new FailedRestore(_snapshot.Uid, _failed?.Volumes ?? [.. request.Volumes], backup, _keepBackup)));
        });
        return new SnapshotException(ErrorIds.RestoreFailed, ErrorKind.Failed,
            $"Restoring VM '{_vm.Name}' to snapshot '{_snapshot.Name}' failed: {error.Message} The VM is in state Error and its present state is kept in a backup snapshot. Go on: Restore-VmSnapshot {_vm.Name} -FailAction Retry; or return: Restore-VmSnapshot {_vm.Name} -FailAction Rollback", _vm.Name, cause: error);
    }

    private void RollBack(OperationPlan plan, RunOptions options)
    {
        using var run = OperationRun.Begin(Context, OperationKind.Restore, plan.Target, options);
        run.Commit(ReturnToBackup);
    }

    /// <summary>The present is the backup's state again: the VM, if it ran, is suspended with the memory of then.</summary>
    private void ReturnToBackup()
    {
        if (Catalog.Snapshots.OfVm(_vm.Id).Find(s => s.Uid == _failed!.Backup) is { } backup)
        {
            if (backup.Memory is not null) Catalog.Machines.SetMemory(_vm.Id, backup.Memory);
            DeleteBackup(backup);
        }
        Catalog.Machines.SetError(_vm.Id, null, null);
    }

    /// <summary>The present becomes a snapshot. While the VM is in state Error its layers are still the heads, and nobody writes to them.</summary>
    private Guid InsertBackup(List<VolumeRow> volumes, List<LayerRow>? layers, string? memory = null, long memoryBytes = 0)
    {
        string name = Names.Validate(string.Create(CultureInfo.InvariantCulture, $"backup-{_startedAt:yyyy-MM-dd'T'HH-mm-ss-fff'Z'}"), "snapshot");
        var row = new VmSnapshotRow(0, Guid.CreateVersion7(), _vm.Id, _vm.PresentId, name, _startedAt, $"The state before the restore of '{_snapshot.Name}'", "[]", null,
            _parts.Count == Catalog.Machines.Attachments(_vm.Id).Count ? SnapshotScope.All : SnapshotScope.Named, memory is null ? SnapshotConsistency.Crash : SnapshotConsistency.Memory, IsBackup: true, null, memory, memoryBytes, Json.Write(Context.ConfigurationOf(_vm)));
        long id = Catalog.Snapshots.Insert(row);
        for (int i = 0; i < volumes.Count; i++)
            Catalog.Snapshots.InsertVolumeSnapshot(new VolumeSnapshotRow(0, Guid.CreateVersion7(), volumes[i].Id, volumes[i].PresentId, id, i, name, _startedAt, null, layers?[i].Id ?? volumes[i].HeadId));
        return row.Uid;
    }

    private void DeleteBackup(VmSnapshotRow backup)
    {
        Catalog.Snapshots.OfVmSnapshot(backup.Id).ForEach(Catalog.Snapshots.DeleteVolumeSnapshot);
        Catalog.Snapshots.Delete(backup);
    }
}
