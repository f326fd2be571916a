using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Clones;
using SnapshotTools.Core.Engine.Power;

namespace SnapshotTools.Core.Engine.Volumes;

/// <summary>Changes the size of a volume that has no snapshots.</summary>
internal sealed class ResizeVolume(EngineContext context, string volumeName, long newSize, bool allowShrink) : Command<VmVolume>(context)
{
    private VolumeRow _volume = null!;
    private LayerRow _head = null!;

    protected override IReadOnlyCollection<LockKey> Locks()
    {
        var row = Context.ResolveVolume(volumeName);
        return [LockKey.Volume(row.Id), .. Catalog.Volumes.AttachedTo(row.Id).Select(vm => LockKey.Vm(Context.ResolveVm(vm).Id))];
    }

    protected override OperationPlan Plan()
    {
        _volume = Context.ResolveVolume(volumeName);
        VolumeRules.RequireNoError(Context, _volume);
        CopyRules.RequireNoCopy(Context, _volume, "resized");
        VolumeRules.RequireNotInUse(Context, _volume, "resized", mayRun: true);
        _head = Catalog.Layers.Get(_volume.HeadId);
        if (newSize <= 0 || newSize % 512 != 0)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, $"A size of {newSize} bytes cannot be used: it must be a positive multiple of 512.", _volume.Name);
        if (Catalog.Snapshots.OfVolume(_volume.Id) is [var first, ..])
            throw new SnapshotException(ErrorIds.VolumeHasSnapshots, ErrorKind.Conflict,
                $"Volume '{_volume.Name}' has {Catalog.Snapshots.CountOfVolume(_volume.Id)} snapshots, such as '{first.Name}', and cannot be resized. Remove them first.", _volume.Name);
        if (newSize < _volume.Size && !allowShrink)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput,
                $"Volume '{_volume.Name}' has {_volume.Size} bytes; making it {newSize} bytes cuts its end off. Use -AllowShrink if what is there may be lost.", _volume.Name);
        if (newSize < _volume.Size && _head.ParentId is not null)
            throw new SnapshotException(ErrorIds.NotSupported, ErrorKind.Unsupported,
                $"Volume '{_volume.Name}' lies on a base and cannot be made smaller: the base would show through when it grows again.", _volume.Name);
        if (newSize < _volume.Size && Context.IsInRunningVm(_volume.Id))
            throw new SnapshotException(ErrorIds.VolumeInUse, ErrorKind.Conflict,
                $"Volume '{_volume.Name}' is in use by a running VM and cannot be made smaller under it. Stop it first: Stop-VmInstance {Catalog.Volumes.AttachedTo(_volume.Id)[0]}", _volume.Name);
        return new OperationPlan
        {
            Kind = OperationKind.Resize,
            Target = _volume.Name,
            Summary = $"Resize volume '{_volume.Name}' from {ByteSize.Format(_volume.Size)} to {ByteSize.Format(newSize)}.",
            Steps = [new PlanStep(PlanAction.Resize, _volume.Name, $"make the head {newSize} bytes large")],
            Lost = newSize < _volume.Size ? [$"the last {ByteSize.Format(_volume.Size - newSize)} of volume '{_volume.Name}'"] : [],
        };
    }

    protected override VmVolume Execute(OperationPlan plan, RunOptions options)
    {
        using var machine = Context.FindMachineOfVolume(_volume.Id);
        using var reserved = machine is null ? Storage.Reserve([_head.File]) : null;
        using var run = OperationRun.Begin(Context, OperationKind.Resize, plan.Target, options);
        try
        {
            if (machine is null) Storage.Resize(_head.File, newSize);
            else machine.Resize(Storage.PathOf(_head.File), newSize);
            run.Commit(() =>
            {
                Catalog.Volumes.SetSize(_volume.Id, newSize);
                Catalog.Layers.SetSize(_head.Id, newSize);
            });
        }
        catch (Exception error)
        {
            run.Fail(error);
            throw;
        }
        return Context.ToModel(Catalog.Volumes.Get(_volume.Id));
    }
}
