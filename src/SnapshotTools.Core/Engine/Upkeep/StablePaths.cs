using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Upkeep;

/// <summary>Puts stable paths right that a killed process, a restart of the machine or somebody else left wrong.</summary>
internal sealed class StablePaths(EngineContext context)
{
    /// <summary>The volumes whose stable path leads elsewhere. That of one that an operation is at will follow by itself.</summary>
    public List<VolumeRow> Wrong() => context.Catalog.Volumes.All().FindAll(v => !LeadsToHead(v));

    /// <summary>Lets the stable path of a volume lead to its head, as both are when nobody else can change them. An operation on the volume does it itself.</summary>
    /// <param name="volumeId">The volume, which may have been removed meanwhile.</param>
    /// <param name="isLocked">Whether the caller holds the volume's lock.</param>
    /// <returns>The volume's name, if its path led elsewhere.</returns>
    public string? Mend(long volumeId, bool isLocked = false)
    {
        using var mine = isLocked ? null : context.Locks.TryAcquire(LockKey.Volume(volumeId));
        if (mine is null && !isLocked) return null;
        string? mended = null;
        if (context.Catalog.Volumes.Find(volumeId) is { } volume && !LeadsToHead(volume))
        {
            context.Storage.Publish(volume.Name, HeadOf(volume));
            mended = volume.Name;
        }
        context.Database.Write(() => context.Catalog.Layers.SetPublished(volumeId), durable: false);
        return mended;
    }

    private bool LeadsToHead(VolumeRow volume) => context.Storage.IsPublished(volume.Name, HeadOf(volume));

    private LayerFile HeadOf(VolumeRow volume) => context.Catalog.Layers.Get(volume.HeadId).File;
}
