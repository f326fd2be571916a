using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Clones;

namespace SnapshotTools.Core.Engine.Volumes;

/// <summary>Copies what a volume or a volume snapshot reads as into a file outside of the store. The file gets its name when it is whole and durable.</summary>
internal sealed class ExportVolume(EngineContext context, string volumeName, string? snapshotName, string path, ImageFileFormat format) : Command<string>(context)
{
    private LayerRow _layer = null!;

    // Of a snapshot, too: whoever removes it writes its layer when that is merged with the one above it.
    protected override IReadOnlyCollection<LockKey> Locks() => [LockKey.Volume(Context.ResolveVolume(volumeName).Id)];

    protected override OperationPlan Plan()
    {
        var volume = Context.ResolveVolume(volumeName);
        _layer = Catalog.Layers.Get(snapshotName is null ? volume.HeadId : Context.ResolveSnapshot(volume, snapshotName).LayerId);
        LayerFiles.Measure(Storage, _layer);
        RequireFree();
        return new OperationPlan
        {
            Kind = OperationKind.Clone,
            Target = snapshotName is null ? volume.Name : $"{volume.Name}/{snapshotName}",
            Summary = $"Copy volume '{volume.Name}'{(snapshotName is null ? "" : $" as of snapshot '{snapshotName}'")} to '{path}' ({format}).",
            Steps = [new PlanStep(PlanAction.CopyData, path, $"write the data of {ByteSize.Format(_layer.Size)} of disk, holes kept")],
        };
    }

    protected override string Execute(OperationPlan plan, RunOptions options)
    {
        using var reserved = snapshotName is null ? Storage.Reserve([_layer.File]) : null;   // nobody is to write what is read
        string making = $"{path}.{Guid.NewGuid():N}.partial";
        using var run = OperationRun.Begin(Context, plan.Kind, plan.Target, options, id => Catalog.Pending.InsertFile(id, making));
        try
        {
            Storage.Export(_layer.File, making, format, run.Report($"Exporting '{plan.Target}'", _layer.Size), run.Cancellation);
            RequireFree();
            Context.Files.Rename(making, path);
            Context.Files.SyncDirectory(Path.GetDirectoryName(path)!);
            run.Commit(() => { });
        }
        catch (Exception error)
        {
            run.Fail(error);
            throw;
        }
        return path;
    }

    private void RequireFree()
    {
        if (Context.Files.Stat(path) is not null)
            throw new SnapshotException(ErrorIds.NameExists, ErrorKind.Conflict, $"There is something at '{path}' already. Choose another path, or move it away.", path);
    }
}

/// <summary>Makes the present of a volume read as an image does, writing only what differs.</summary>
internal sealed class OverwriteVolume(EngineContext context, string volumeName, ImageSource source) : Command<VmVolume>(context)
{
    private VolumeRow _volume = null!;
    private LayerRow _head = null!;

    protected override IReadOnlyCollection<LockKey> Locks() => [LockKey.Volume(Context.ResolveVolume(volumeName).Id)];

    protected override OperationPlan Plan()
    {
        _volume = Context.ResolveVolume(volumeName);
        VolumeRules.RequireNoError(Context, _volume);
        CopyRules.RequireNoCopy(Context, _volume, "overwritten");
        VolumeRules.RequireNotInUse(Context, _volume, "overwritten");
        _head = Catalog.Layers.Get(_volume.HeadId);
        var image = Storage.Inspect(source);
        if (image.VirtualSize != _volume.Size)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput,
                $"Image '{source.Path}' is a disk of {image.VirtualSize} bytes, volume '{_volume.Name}' has {_volume.Size}. They must be equal.", _volume.Name);
        Context.RequireSpace(image.DataBytes, $"Writing to volume '{_volume.Name}'");
        return new OperationPlan
        {
            Kind = OperationKind.Import,
            Target = _volume.Name,
            Summary = $"Make volume '{_volume.Name}' read as '{source.Path}' does.",
            Steps = [new PlanStep(PlanAction.CopyData, _volume.Name, $"write what differs, up to {ByteSize.Format(image.DataBytes)}", BytesCopied: image.DataBytes)],
            Lost = [$"the present content of volume '{_volume.Name}' where it differs; take a snapshot first to keep it"],
            SpaceNeeded = image.DataBytes,
        };
    }

    protected override VmVolume Execute(OperationPlan plan, RunOptions options)
    {
        using var reserved = Storage.Reserve([_head.File]);
        using var run = OperationRun.Begin(Context, plan.Kind, plan.Target, options);
        try
        {
            long written = Storage.Overwrite(_head.File, source, run.Report($"Writing volume '{_volume.Name}'", _volume.Size), run.Cancellation);
            run.Log($"{ByteSize.Format(written)} differed");
            run.Commit(() => { });
        }
        catch (Exception error)
        {
            run.Fail(error);
            throw;
        }
        return Context.ToModel(_volume);
    }
}
