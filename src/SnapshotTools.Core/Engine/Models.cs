using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Power;
using SnapshotTools.Core.Engine.Snapshots;

namespace SnapshotTools.Core.Engine;

/// <summary>From rows to the records that users see.</summary>
internal static class Models
{
    public static VmSnapshot ToModel(this EngineContext context, VmSnapshotRow row)
    {
        var vm = context.Catalog.Machines.Get(row.VmId);
        var parts = context.Catalog.Snapshots.OfVmSnapshot(row.Id);
        var volumes = context.Catalog.Volumes.Of(parts, p => p.VolumeId);
        var layers = context.Catalog.Layers.Of(parts, p => p.LayerId);
        var parents = context.Catalog.Snapshots.ParentsOf(parts);
        var clones = context.Catalog.Volumes.LinkedClonesOn(parts, p => p.LayerId);
        return context.ToModel(row, vm, row.ParentId is { } id ? context.Catalog.Snapshots.Find(id) : null, [.. parts.Select((p, i) => context.ToModel(ListedPart.Of(p, layers[i]), volumes[i],
            p.ParentId is { } parent ? parents.GetValueOrDefault(parent)?.Uid : null, row.Uid, clones.FindAll(c => c.LayerId == p.LayerId).ConvertAll(c => c.Name)))]);
    }

    public static VmSnapshot ToModel(this EngineContext context, VmSnapshotRow row, VmRow vm, VmSnapshotRow? parent, VolumeSnapshot[] volumes, IReadOnlyList<string>? tags = null) => new()
    {
        Id = row.Uid,
        Name = row.Name,
        VmId = vm.Uid,
        VmName = vm.Name,
        Store = context.Store,
        ParentId = parent?.Uid,
        ParentName = parent?.Name,
        CreatedAt = row.CreatedAt,
        Description = row.Description,
        Tags = tags ?? SnapshotTags.Read(row.Tags),
        ExpiresAt = row.ExpiresAt,
        Scope = row.Scope,
        Consistency = row.Consistency,
        HasMemory = row.Memory is not null,
        IsBackup = row.IsBackup,
        IsCurrent = vm.PresentId == row.Id,
        Volumes = volumes,
        LinkedClones = ClonesOf(volumes),
        SizeBytes = SizeOf(volumes) + row.MemoryBytes,
        MemorySizeBytes = row.MemoryBytes,
        PauseDuration = row.Pause,
    };

    private static IReadOnlyList<string> ClonesOf(VolumeSnapshot[] volumes) =>
        Array.TrueForAll(volumes, static v => v.LinkedClones.Count == 0) ? [] : [.. volumes.SelectMany(v => v.LinkedClones).Distinct()];

    private static long SizeOf(VolumeSnapshot[] volumes)
    {
        long size = 0;
        foreach (var volume in volumes) size += volume.SizeBytes;
        return size;
    }

    public static VolumeSnapshot ToModel(this EngineContext context, VolumeSnapshotRow row)
    {
        var volume = context.Catalog.Volumes.Get(row.VolumeId);
        var parent = row.ParentId is { } id ? context.Catalog.Snapshots.FindVolumeSnapshot(id)?.Uid : null;
        var whole = row.VmSnapshotId is { } wholeId ? context.Catalog.Snapshots.Find(wholeId)?.Uid : null;
        var layer = context.Catalog.Layers.Get(row.LayerId);
        return context.ToModel(ListedPart.Of(row, layer), volume, parent, whole, context.Catalog.Volumes.LinkedClonesOn(row.LayerId));
    }

    public static VolumeSnapshot ToModel(this EngineContext context, ListedPart part, VolumeRow volume, Guid? parent, Guid? whole, IReadOnlyList<string> linkedClones) => new()
    {
        Id = part.Row.Uid,
        Name = part.Row.Name,
        VolumeId = volume.Uid,
        VolumeName = volume.Name,
        Store = context.Store,
        ParentId = parent,
        VmSnapshotId = whole,
        CreatedAt = part.Row.CreatedAt,
        Description = part.Row.Description,
        VirtualSizeBytes = part.Size,
        SizeBytes = part.Allocated,
        Path = context.Storage.PathOf(part.File),
        LinkedClones = linkedClones,
        IsCurrent = volume.PresentId == part.Row.Id,
    };

    public static VmInstance ToModel(this EngineContext context, VmRow row) =>
        context.ToModel(row, context.Catalog.Machines.Attachments(row.Id), (int)context.Catalog.Snapshots.CountOfVm(row.Id),
            row.PresentId is { } id ? context.Catalog.Snapshots.Find(id)?.Name : null);

    public static VmInstance ToModel(this EngineContext context, VmRow row, IEnumerable<AttachmentRow> attachments, int snapshotCount, string? current) => new()
    {
        Id = row.Uid,
        Name = row.Name,
        Store = context.Store,
        State = context.StateOf(row),
        ProcessorCount = row.Processors,
        MemoryBytes = row.Memory,
        Volumes = [.. attachments.Select(a => a.ToModel())],
        NetworkAdapters = Json.Read<VmNetworkAdapter[]>(row.Adapters),
        Boot = Json.Read<VmBoot>(row.Boot),
        Description = row.Description,
        SnapshotCount = snapshotCount,
        CurrentSnapshot = current,
        Error = row.Error,
        LastWords = context.Compute?.LastWords(row.Uid),
        GenerationId = row.Generation,
        CreatedAt = row.CreatedAt,
    };

    public static VmVolume ToModel(this EngineContext context, VolumeRow row) =>
        context.ToModel(row, context.Catalog.Volumes.AttachedTo(row.Id), (int)context.Catalog.Snapshots.CountOfVolume(row.Id));

    public static VmVolume ToModel(this EngineContext context, VolumeRow row, IReadOnlyList<string> attachedTo, int snapshotCount, List<LayerRow>? chain = null)
    {
        chain ??= context.Catalog.Layers.Chain(row.HeadId);
        long exclusive = 0, shared = 0;
        foreach (var layer in chain)
        {
            // A head has no facts in the catalog: it changes all the time.
            long bytes = layer.State == LayerState.Frozen && !layer.External ? layer.Allocated : context.Occupied(layer);
            if (layer.State == LayerState.Head) exclusive += bytes;
            else if (!layer.External && shared == 0 && context.Catalog.Snapshots.CountOnLayer(layer.Id) == 0 && context.Catalog.Layers.CountChildren(layer.Id) == 1) exclusive += bytes;
            else shared += bytes;
        }
        return new VmVolume
        {
            Id = row.Uid,
            Name = row.Name,
            Store = context.Store,
            SizeBytes = row.Size,
            AllocatedBytes = exclusive + shared,
            ExclusiveBytes = exclusive,
            SharedBytes = shared,
            Path = context.Storage.PublishedPath(row.Name),
            HeadPath = context.Storage.PathOf(chain[0].File),
            ChainLength = chain.Count,
            SnapshotCount = snapshotCount,
            AttachedTo = attachedTo,
            LinkedClones = context.Catalog.Volumes.LinkedClonesOf(row.Id),
            LinkedTo = chain.Find(l => l.VolumeId != row.Id) is { VolumeId: { } baseId } ? context.Catalog.Volumes.Get(baseId).Name : null,
            AdoptedFrom = row.AdoptedFrom,
            Description = row.Description,
            CreatedAt = row.CreatedAt,
        };
    }

    /// <summary>What a layer occupies now, as far as it can be told: a disk that fails does not hide the rest of what is known.</summary>
    private static long Occupied(this EngineContext context, LayerRow layer)
    {
        try
        {
            return context.Storage.Measure(layer.File)?.AllocatedBytes ?? 0;
        }
        catch (IOException)
        {
            return 0;
        }
    }

    public static SnapshotOperation ToModel(this EngineContext context, OperationRow row) => new()
    {
        Id = row.Uid,
        Kind = row.Kind,
        Target = row.Target,
        Store = context.Store,
        State = row.State,
        BytesDone = row.BytesDone,
        BytesTotal = row.BytesTotal,
        BytesPerSecond = row.Rate,
        StartedAt = row.StartedAt,
        EndedAt = row.EndedAt,
        ProcessId = row.ProcessId,
        Error = row.Error,
    };
}
