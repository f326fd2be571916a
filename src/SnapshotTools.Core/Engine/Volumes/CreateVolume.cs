using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Volumes;

/// <summary>Makes a volume: empty, with the content of an image, over an adopted image, or over a snapshot's layer.</summary>
internal sealed class CreateVolume(EngineContext context, NewVolumeRequest request) : Command<VmVolume>(context)
{
    private const long MaxSize = 1L << 56;   // what a qcow2 L1 table of 32 MiB holds at 2 MiB clusters is more than any disk needs

    private string _name = null!;
    private long _size;
    private ImageSource? _source;
    private ImageFacts? _image;
    private VolumeSnapshotRow? _snapshot;

    protected override IReadOnlyCollection<LockKey> Locks() =>
        request.FromVolumeSnapshot is { } id && Catalog.Snapshots.FindVolumeSnapshot(id) is { } row ? [LockKey.Volume(row.VolumeId)] : [];

    protected override OperationPlan Plan()
    {
        _name = Names.Validate(request.Name, "volume");
        if (Catalog.Volumes.FindByName(_name) is { } other)
            throw new SnapshotException(ErrorIds.NameExists, ErrorKind.Conflict, $"There is a volume '{other.Name}' already. Choose another name.", _name);
        if (request.ClusterSize is < 4096 or > 2 << 20 || !System.Numerics.BitOperations.IsPow2(request.ClusterSize))
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, $"A cluster size of {request.ClusterSize} bytes cannot be used. Use a power of two from 4KB to 2MB.", _name);
        var steps = request.ImagePath is not null ? PlanImage() : request.FromVolumeSnapshot is not null ? PlanFromSnapshot() : PlanEmpty();
        long space = Storage.Capabilities.EmptyLayerBytes(_size) + steps.Sum(s => s.BytesCopied);
        Context.RequireSpace(space, $"Volume '{_name}'");
        return new OperationPlan
        {
            Kind = _source is not null && !request.Adopt ? OperationKind.Import : OperationKind.CreateVolume,
            Target = _name,
            Summary = $"Make volume '{_name}' of {ByteSize.Format(_size)}.",
            Steps = steps,
            SpaceNeeded = space,
        };
    }

    protected override VmVolume Execute(OperationPlan plan, RunOptions options)
    {
        var volumeId = Guid.CreateVersion7();
        var file = Storage.NewLayerFile(Guid.CreateVersion7());
        var parentRow = _snapshot is null ? null : Catalog.Layers.Get(_snapshot.LayerId);
        var adopted = _source is not null && request.Adopt
            ? new LayerFile(Guid.CreateVersion7(), _source.Path, _source.Format == ImageFileFormat.Raw ? LayerFormat.Raw : LayerFormat.Qcow2, External: true) : null;
        var parent = adopted ?? parentRow?.File;
        var identity = Context.NewIdentity(file.Id, volumeId, _name, parent?.Id, _snapshot is null ? null : Context.IdentityOf(_snapshot));
        var layer = new NewLayer(file, parent, _size, request.ClusterSize, identity) { IsParentDurable = parentRow?.State == LayerState.Frozen };

        using var reserved = adopted is null ? null : Storage.Reserve([adopted]);
        using var run = OperationRun.Begin(Context, plan.Kind, plan.Target, options, id => Catalog.Pending.Insert(id, file, parentRow?.Id, _size));
        try
        {
            if (_source is not null && adopted is null)
                Storage.Import(_source, layer, run.Report($"Importing '{_source.Path}' as volume '{_name}'", _image!.DataBytes), run.Cancellation);
            else Storage.Create([layer]);
            run.Cancellation.ThrowIfCancellationRequested();
            var adoptedFacts = adopted is null ? null : Storage.Measure(adopted);
            run.Commit(() =>
            {
                if (Catalog.Volumes.FindByName(_name) is not null)
                    throw new SnapshotException(ErrorIds.NameExists, ErrorKind.Conflict, $"Another process made a volume '{_name}' meanwhile. Choose another name.", _name);
                long id = Catalog.Volumes.Insert(volumeId, _name, _size, request.ClusterSize, adopted?.Location, request.Description);
                long? parentId = adopted is null ? parentRow?.Id : Catalog.Layers.InsertFrozen(id, null, adopted, _image!.VirtualSize, adoptedFacts!);
                Catalog.Volumes.SetHead(id, Catalog.Layers.InsertHead(id, parentId, file, _size), _size);
                Catalog.Layers.ForgetGarbage([Storage.PublishedLocation(_name)]);   // of a volume that had the name before
                Catalog.Layers.SetUnpublished(id);
                run.Own([id]);
            });
        }
        catch (Exception error)
        {
            run.Fail(error);
            throw;
        }
        var row = Catalog.Volumes.FindById(volumeId)!;
        run.Afterwards(() =>
        {
            Storage.Publish(_name, file);
            Context.Database.Write(() => Catalog.Layers.SetPublished(row.Id), durable: false);
        });
        return Context.ToModel(row);
    }

    private List<PlanStep> PlanEmpty()
    {
        _size = CheckSize(request.SizeBytes ?? throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput,
            $"Volume '{_name}' needs a size, an image or a snapshot to be made from.", _name));
        return [new PlanStep(PlanAction.CreateLayer, _name, $"make an empty volume of {ByteSize.Format(_size)}")];
    }

    private List<PlanStep> PlanImage()
    {
        _source = new ImageSource(request.ImagePath!, request.ImageFormat ?? FormatByName(request.ImagePath!), request.AllowedBackingFiles);
        _image = Storage.Inspect(_source);
        if (request.Adopt && _source.Path.StartsWith(Context.Store + Path.DirectorySeparatorChar, StringComparison.Ordinal))
            throw new SnapshotException(ErrorIds.ImageRefused, ErrorKind.InvalidInput,
                $"Image '{_source.Path}' is in the store itself and cannot be adopted: its own volume would change or delete it. Clone that volume, with Copy-Volume, or import the image: leave -Adopt away.", _source.Path);
        if (request.Adopt && _image.BackingFile is { } below)
            throw new SnapshotException(ErrorIds.ImageRefused, ErrorKind.InvalidInput,
                $"Image '{_source.Path}' lies on '{below}' and cannot be adopted: the store could not vouch for what it does not hold. Import it, which copies what it reads as: leave -Adopt away.", _source.Path);
        _size = CheckSize(Math.Max(request.SizeBytes ?? 0, _image.VirtualSize));
        if (request.SizeBytes < _image.VirtualSize)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput,
                $"Image '{_source.Path}' is a disk of {_image.VirtualSize} bytes and does not fit into a volume of {request.SizeBytes} bytes. Leave the size away, or give a larger one.", _name);
        return request.Adopt
            ? [new PlanStep(PlanAction.CreateLayer, _name, $"make a head over '{_source.Path}', which stays where it is and is only read; nothing else may write to it from now on")]
            : [new PlanStep(PlanAction.CopyData, _name, $"copy up to {ByteSize.Format(_image.DataBytes)} of data from '{_source.Path}'", BytesCopied: _image.DataBytes)];
    }

    private List<PlanStep> PlanFromSnapshot()
    {
        _snapshot = Catalog.Snapshots.FindVolumeSnapshot(request.FromVolumeSnapshot!.Value)
            ?? throw new SnapshotException(ErrorIds.SnapshotNotFound, ErrorKind.NotFound, $"There is no volume snapshot with id {request.FromVolumeSnapshot}. List them: Get-VolumeSnapshot", request.FromVolumeSnapshot);
        var layer = Catalog.Layers.Get(_snapshot.LayerId);
        VolumeRules.RequireFrozen(Context, _snapshot, layer);
        LayerFiles.Measure(Storage, layer);
        _size = layer.Size;
        if (request.SizeBytes is { } wanted && wanted != _size)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, $"A volume made from a snapshot has the snapshot's size, {_size} bytes. Resize it afterwards: Resize-VmVolume {_name} {wanted}", _name);
        return [new PlanStep(PlanAction.Branch, _name, $"put a head over snapshot '{_snapshot.Name}' of volume '{Catalog.Volumes.Get(_snapshot.VolumeId).Name}'")];
    }

    private long CheckSize(long bytes)
    {
        if (bytes is <= 0 or > MaxSize) throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, $"A size of {bytes} bytes cannot be used. Use 512 bytes to {ByteSize.Format(MaxSize)}.", _name);
        return (bytes + 511) / 512 * 512;
    }

    /// <summary>The name's ending decides; the content never does, since a guest can write what it likes into a raw disk.</summary>
    private static ImageFileFormat FormatByName(string path) => Path.GetExtension(path).ToUpperInvariant() switch
    {
        ".QCOW2" or ".QCOW" => ImageFileFormat.Qcow2,
        ".RAW" or ".IMG" or ".BIN" or ".ISO" => ImageFileFormat.Raw,
        _ => throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, $"The name of '{path}' does not say what format it has. Say it: -Format Raw or -Format Qcow2.", path),
    };
}
