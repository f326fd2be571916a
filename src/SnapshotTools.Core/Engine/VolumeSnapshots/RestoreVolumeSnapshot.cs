using System.Globalization;
using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Clones;

namespace SnapshotTools.Core.Engine.VolumeSnapshots;

/// <summary>Restores one volume to a snapshot of its own.</summary>
internal sealed class RestoreVolumeSnapshot(EngineContext context, string volumeName, string snapshotName, bool keepBackup) : Command<VmVolume>(context)
{
    private readonly Collecting _collecting = new(context);
    private readonly DateTimeOffset _startedAt = DateTimeOffset.UtcNow;
    private VolumeRow _volume = null!;
    private VolumeSnapshotRow _snapshot = null!;

    protected override IReadOnlyCollection<LockKey> Locks() => [LockKey.Volume(Context.ResolveVolume(volumeName).Id)];

    protected override OperationPlan Plan()
    {
        _volume = Context.ResolveVolume(volumeName);
        VolumeRules.RequireNoError(Context, _volume);
        CopyRules.RequireNoCopy(Context, _volume, "restored");
        VolumeRules.RequireNotInUse(Context, _volume, "restored");
        _snapshot = ResolveOwn();
        var layer = Catalog.Layers.Get(_snapshot.LayerId);
        LayerFiles.Measure(Storage, layer);
        var head = Catalog.Layers.Get(_volume.HeadId);
        long space = NewHeads.SpaceFor(Storage, [layer.Size]);
        Context.RequireSpace(space, $"Restoring volume '{_volume.Name}'");
        var steps = new List<PlanStep> { new(PlanAction.Branch, _volume.Name, $"put a new head for volume '{_volume.Name}' over snapshot '{_snapshot.Name}'") };
        if (keepBackup) steps.Insert(0, new PlanStep(PlanAction.Backup, _volume.Name, $"keep the present state of volume '{_volume.Name}' as a backup snapshot"));
        else steps.AddRange(_collecting.Describe(_volume.Name, _collecting.PlanAround(_volume.Id, [head.Id], [head.Id])));
        return new OperationPlan
        {
            Kind = OperationKind.Restore,
            Target = $"{_volume.Name}/{_snapshot.Name}",
            Summary = string.Create(CultureInfo.InvariantCulture, $"Restore volume '{_volume.Name}' to snapshot '{_snapshot.Name}' of {_snapshot.CreatedAt.ToLocalTime():yyyy-MM-dd HH:mm:ss}."),
            Steps = steps,
            Lost = keepBackup ? [] : [$"the present state of volume '{_volume.Name}': {ByteSize.Format(LayerFiles.Measure(Storage, head).AllocatedBytes)} in its head"],
            SpaceNeeded = space,
        };
    }

    protected override VmVolume Execute(OperationPlan plan, RunOptions options)
    {
        var replaced = Catalog.Layers.Get(_volume.HeadId);
        bool isTidy = true;
        var heads = new NewHeads(Context);
        heads.Add(_volume, Catalog.Layers.Get(_snapshot.LayerId), Context.IdentityOf(_snapshot));
        using (Storage.Reserve([replaced.File]))
        using (var run = OperationRun.Begin(Context, OperationKind.Restore, plan.Target, options, heads.Register))
        {
            try
            {
                heads.Create();
                if (keepBackup) Storage.MakeDurable([replaced.File]);
                var kept = keepBackup ? LayerFiles.Measure(Storage, replaced) : null;
                run.Cancellation.ThrowIfCancellationRequested();
                run.Commit(() =>
                {
                    string backup = string.Create(CultureInfo.InvariantCulture, $"backup-{_startedAt:yyyy-MM-dd'T'HH-mm-ss-fff'Z'}");
                    if (keepBackup)
                        Catalog.Snapshots.InsertVolumeSnapshot(new VolumeSnapshotRow(0, Guid.CreateVersion7(), _volume.Id, _volume.PresentId, null, 0, backup, _startedAt, $"The state before the restore of '{_snapshot.Name}'", replaced.Id));
                    heads.Commit([_snapshot.Id]);
                    if (kept is not null) Catalog.Layers.Freeze(replaced.Id, kept);
                    else isTidy = Drop(replaced);
                });
            }
            catch (Exception error)
            {
                run.Fail(error);
                throw;
            }
            run.Afterwards(() =>
            {
                if (keepBackup) Storage.SetFrozen(replaced.File, true);
                heads.Publish();
            });
        }
        _collecting.RunAfter(plan.Target, [_volume.Id], options, isTidy);
        return Context.ToModel(Catalog.Volumes.Get(_volume.Id));
    }

    /// <summary>Drops the head that was replaced, with what only it needed, and says whether that is all: what has to be merged takes longer.</summary>
    private bool Drop(LayerRow replaced)
    {
        var plan = _collecting.PlanAround(_volume.Id, [replaced.Id], [replaced.Id]);
        _collecting.DropDeleted(plan);
        return plan.Merges.Count == 0;
    }

    /// <summary>A snapshot of another volume, which only an id can mean, is refused by its own rule.</summary>
    private VolumeSnapshotRow ResolveOwn()
    {
        if (!Guid.TryParse(snapshotName, out Guid id) || Catalog.Snapshots.FindVolumeSnapshot(id) is not { } row || row.VolumeId == _volume.Id)
            return Context.ResolveSnapshot(_volume, snapshotName);
        string other = Catalog.Volumes.Get(row.VolumeId).Name;
        throw new SnapshotException(ErrorIds.NotOriginalVolume, ErrorKind.InvalidInput,
            $"Snapshot '{row.Name}' is of volume '{other}' and cannot be restored onto volume '{_volume.Name}'. Make another disk from it: Get-VolumeSnapshot {other} {row.Name} | New-VmVolume -Name <name>", row.Name);
    }
}
