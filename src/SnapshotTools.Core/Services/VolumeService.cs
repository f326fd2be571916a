using SnapshotTools.Core.Engine;
using SnapshotTools.Core.Engine.Clones;
using SnapshotTools.Core.Engine.Volumes;

namespace SnapshotTools.Core;

/// <summary>Volumes of a store.</summary>
public sealed class VolumeService
{
    private readonly EngineContext _context;

    internal VolumeService(EngineContext context) => _context = context;

    /// <summary>The volumes that match any of the patterns (names with wildcards, or ids); all without patterns.</summary>
    public IReadOnlyList<VmVolume> Find(params IReadOnlyList<string> patterns) => _context.Database.Read<IReadOnlyList<VmVolume>>(() =>
    {
        ArgumentNullException.ThrowIfNull(patterns);
        if (patterns is [var one] && !Names.IsPattern(one) && !Guid.TryParse(one, out _))
            return _context.Catalog.Volumes.FindByName(one) is { } row ? [_context.ToModel(row)] : [];
        var matches = Names.Matcher(patterns);
        var attachedTo = _context.Catalog.Volumes.Attachments().ToLookup(a => a.VolumeId, a => a.Vm);
        var counts = _context.Catalog.Snapshots.CountsByVolume();
        return [.. _context.Catalog.Volumes.All().Where(v => matches(v.Name, v.Uid)).Select(v => _context.ToModel(v, [.. attachedTo[v.Id]], counts.GetValueOrDefault(v.Id)))];
    });

    /// <summary>The volume of a name or id.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.VolumeNotFound"/>.</exception>
    public VmVolume Get(string nameOrId) => _context.Database.Read(() => _context.ToModel(_context.ResolveVolume(nameOrId)));

    /// <summary>Makes a volume: empty, from an image, over an adopted image, or over a snapshot's layer.</summary>
    public PlannedOperation<VmVolume> Create(NewVolumeRequest request) => new CreateVolume(_context, request).Prepare();

    /// <summary>Makes clones of volumes, all of one instant and usable at once. Their data is copied by <see cref="OperationService.Run"/>, or by a worker.</summary>
    public PlannedOperation<CloneResult> Clone(CloneRequest request) => new CloneVolumes(_context, request).Prepare();

    /// <summary>Changes a volume's size in bytes.</summary>
    public PlannedOperation<VmVolume> Resize(string volume, long newSize, bool allowShrink) => new ResizeVolume(_context, volume, newSize, allowShrink).Prepare();

    /// <summary>Removes a volume; gives back what it was.</summary>
    public PlannedOperation<VmVolume> Remove(string volume, bool removeSnapshots, DependantAction dependants = DependantAction.Refuse)
    {
        var removal = new RemoveVolume(_context, volume, removeSnapshots, dependants).Prepare();
        if (dependants != DependantAction.Flatten) return removal;
        var clones = _context.Database.Read(() => _context.Catalog.Volumes.LinkedClonesOf(_context.ResolveVolume(volume).Id));
        return FlattenVolumes.Before(_context, clones, removal, () => new RemoveVolume(_context, volume, removeSnapshots).Prepare());
    }

    /// <summary>Copies what a volume, or a snapshot of it, reads as into a new file; gives back its path.</summary>
    public PlannedOperation<string> Export(string volume, string? snapshot, string path, ImageFileFormat format) => new ExportVolume(_context, volume, snapshot, Path.GetFullPath(path), format).Prepare();

    /// <summary>Makes a volume's present read as an image of the same size does, writing only what differs.</summary>
    public PlannedOperation<VmVolume> Overwrite(string volume, ImageSource source) => new OverwriteVolume(_context, volume, source).Prepare();
}
