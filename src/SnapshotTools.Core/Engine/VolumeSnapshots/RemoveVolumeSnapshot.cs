using System.Globalization;
using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Snapshots;

namespace SnapshotTools.Core.Engine.VolumeSnapshots;

/// <summary>Removes one snapshot of a volume that is no part of a VM snapshot.</summary>
internal sealed class RemoveVolumeSnapshot(EngineContext context, string volumeName, string snapshotName, DependantAction dependants = DependantAction.Refuse) : Command<VolumeSnapshot>(context)
{
    private readonly Collecting _collecting = new(context);
    private VolumeRow _volume = null!;
    private VolumeSnapshotRow _snapshot = null!;

    protected override IReadOnlyCollection<LockKey> Locks() => [LockKey.Volume(Context.ResolveVolume(volumeName).Id)];

    protected override OperationPlan Plan()
    {
        _volume = Context.ResolveVolume(volumeName);
        _snapshot = Context.ResolveSnapshot(_volume, snapshotName);
        if (_snapshot.VmSnapshotId is { } wholeId)
        {
            var whole = Catalog.Snapshots.Get(wholeId);
            string vm = Catalog.Machines.Get(whole.VmId).Name;
            throw new SnapshotException(ErrorIds.PartOfVmSnapshot, ErrorKind.Conflict,
                $"Snapshot '{_snapshot.Name}' of volume '{_volume.Name}' is part of snapshot '{whole.Name}' of VM '{vm}' and cannot be removed by itself. Remove the whole: Remove-VmSnapshot {vm} {whole.Name}", _snapshot.Name);
        }
        var steps = new List<PlanStep> { new(PlanAction.Forget, _snapshot.Uid.ToString(), $"forget snapshot '{_snapshot.Name}' of volume '{_volume.Name}'") };
        steps.AddRange(SnapshotLayers.DescribeRelease(Context, _collecting, [_snapshot], dependants));
        return new OperationPlan
        {
            Kind = OperationKind.Remove,
            Target = $"{_volume.Name}/{_snapshot.Name}",
            Summary = $"Remove snapshot '{_snapshot.Name}' of volume '{_volume.Name}'.",
            Steps = steps,
            Lost = [string.Create(CultureInfo.InvariantCulture, $"snapshot '{_snapshot.Name}' of volume '{_volume.Name}', taken {_snapshot.CreatedAt.ToLocalTime():yyyy-MM-dd HH:mm:ss}")],
            SpaceNeeded = steps.Max(s => s.BytesCopied),
        };
    }

    protected override VolumeSnapshot Execute(OperationPlan plan, RunOptions options)
    {
        var removed = Context.ToModel(_snapshot);
        using var run = OperationRun.Begin(Context, OperationKind.Remove, plan.Target, options);
        try
        {
            Context.Database.Write(() => Catalog.Snapshots.DeleteVolumeSnapshot(_snapshot));
            SnapshotLayers.Collect(Context, _collecting, [_volume.Id], run);
            run.Commit(() => { });
        }
        catch (Exception error)
        {
            run.Fail(error);
            throw;
        }
        return removed;
    }
}
