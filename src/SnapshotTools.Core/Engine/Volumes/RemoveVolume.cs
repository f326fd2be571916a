using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Volumes;

/// <summary>Removes a volume that no VM has, with its layers; an adopted image is left where it is.</summary>
internal sealed class RemoveVolume(EngineContext context, string volumeName, bool removeSnapshots, DependantAction dependants = DependantAction.Refuse) : Command<VmVolume>(context)
{
    private VolumeRow _volume = null!;

    protected override IReadOnlyCollection<LockKey> Locks() => [LockKey.Volume(Context.ResolveVolume(volumeName).Id)];

    protected override OperationPlan Plan()
    {
        _volume = Context.ResolveVolume(volumeName);
        if (Catalog.Volumes.AttachedTo(_volume.Id) is [var vm, ..])
            throw new SnapshotException(ErrorIds.VolumeAttached, ErrorKind.Conflict,
                $"Volume '{_volume.Name}' is attached to VM '{vm}' and cannot be removed. Detach it first: Dismount-VmVolume {vm} {_volume.Name}", _volume.Name);
        VolumeRules.RequireNotInVmSnapshot(Context, _volume, null, "removed");
        return VolumeRemoval.Plan(Context, [_volume], $"Remove volume '{_volume.Name}'.", removeSnapshots, dependants: dependants) with { Target = _volume.Name };
    }

    protected override VmVolume Execute(OperationPlan plan, RunOptions options)
    {
        var removed = Context.ToModel(_volume);
        var head = Catalog.Layers.Get(_volume.HeadId);
        using var reserved = Storage.Measure(head.File) is null ? null : Storage.Reserve([head.File]);
        using var run = OperationRun.Begin(Context, OperationKind.Remove, plan.Target, options);
        try
        {
            run.Commit(() => VolumeRemoval.Forget(Context, [_volume]));
        }
        catch (Exception error)
        {
            run.Fail(error);
            throw;
        }
        run.Afterwards(new Collecting(Context).DeleteGarbage);
        return removed;
    }
}
