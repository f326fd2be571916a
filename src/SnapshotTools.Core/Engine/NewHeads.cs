using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine;

/// <summary>
/// New, empty heads for volumes, each over a layer: what a snapshot, a restore and a linked volume have in common. The
/// order is <see cref="Register"/> (known of), <see cref="Create"/> (durable), <see cref="Commit"/> (in the transaction
/// that ends the operation), <see cref="Publish"/> (the stable paths follow).
/// </summary>
internal sealed class NewHeads(EngineContext context)
{
    private readonly List<Entry> _entries = [];

    /// <summary>Plans a head for a volume over a layer.</summary>
    public void Add(VolumeRow volume, LayerRow parent, SnapshotIdentity? snapshot)
    {
        var file = context.Storage.NewLayerFile(Guid.CreateVersion7());
        var identity = context.NewIdentity(file.Id, volume.Uid, volume.Name, parent.Uid, snapshot);
        _entries.Add(new Entry(volume, parent, new NewLayer(file, parent.File, parent.Size, volume.ClusterSize, identity) { IsParentDurable = parent.State == LayerState.Frozen }));
    }

    /// <summary>Free bytes that so many empty layers of these sizes need.</summary>
    public static long SpaceFor(IStoragePlane storage, IEnumerable<long> sizes)
    {
        long bytes = 0;
        foreach (long size in sizes) bytes += storage.Capabilities.EmptyLayerBytes(size);
        return bytes;
    }

    /// <summary>Writes the layers down as pending, in the transaction that begins the operation.</summary>
    public void Register(long operationId)
    {
        foreach (var entry in _entries) context.Catalog.Pending.Insert(operationId, entry.Layer.File, entry.Parent.Id, entry.Layer.Size);
    }

    /// <summary>Makes the files, all at once; they are durable afterwards.</summary>
    public void Create() => context.Storage.Create([.. _entries.Select(e => e.Layer)]);

    /// <summary>The files, for the hypervisor that is to switch to them.</summary>
    public IReadOnlyList<LiveHead> ForMachine() => [.. _entries.Select(e => new LiveHead(context.Storage.PathOf(e.Parent.File), context.Storage.PathOf(e.Layer.File)))];

    /// <summary>Makes them the heads of their volumes. Part of a transaction.</summary>
    /// <param name="presents">The volume snapshots from which the volumes descend then; without, that stays as it is.</param>
    public void Commit(IReadOnlyList<long>? presents = null)
    {
        for (int i = 0; i < _entries.Count; i++)
        {
            var entry = _entries[i];
            long head = context.Catalog.Layers.InsertHead(entry.Volume.Id, entry.Parent.Id, entry.Layer.File, entry.Layer.Size);
            context.Catalog.Volumes.SetHead(entry.Volume.Id, head, entry.Layer.Size, presents?[i]);
            context.Catalog.Layers.SetUnpublished(entry.Volume.Id);
        }
    }

    /// <summary>Lets the stable paths follow. Should the process die before, the next opening of the store does it.</summary>
    public void Publish()
    {
        foreach (var entry in _entries) context.Storage.Publish(entry.Volume.Name, entry.Layer.File);
        context.Database.Write(() => _entries.ForEach(e => context.Catalog.Layers.SetPublished(e.Volume.Id)), durable: false);
    }

    private sealed record Entry(VolumeRow Volume, LayerRow Parent, NewLayer Layer);
}
