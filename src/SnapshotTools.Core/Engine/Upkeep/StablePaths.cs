using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Upkeep;

/// <summary>Puts stable paths right that a killed process, a restart of the machine or somebody else left wrong.</summary>
internal sealed class StablePaths(EngineContext context)
{
    /// <summary>The volumes whose stable path leads elsewhere. That of one that an operation is at will follow by itself.</summary>
    public List<VolumeRow> Wrong() => context.Database.Read(() =>
    {
        var volumes = context.Catalog.Volumes.All();
        var heads = context.Catalog.Layers.Of(volumes, v => v.HeadId);
        return volumes.Where((v, i) => !context.Storage.IsPublished(v.Name, heads[i].File)).ToList();
    });

    /// <summary>What a plan says of mending one.</summary>
    public static PlanStep Step(string volume) => new(PlanAction.Publish, volume, $"let the stable path of volume '{volume}' lead to its head");

    /// <summary>What a plan says of a link that was left beside one.</summary>
    public static PlanStep StepOfLeft(string link) => new(PlanAction.Publish, link, $"delete '{link}', which a killed process left beside a stable path");

    /// <summary>A volume's name and head, if its stable path leads elsewhere.</summary>
    public (string Volume, LayerFile Head)? FindWrong(long volumeId) => context.Database.Read<(string, LayerFile)?>(() =>
        context.Catalog.Volumes.Find(volumeId) is { } volume && context.Catalog.Layers.Get(volume.HeadId).File is var head && !context.Storage.IsPublished(volume.Name, head) ? (volume.Name, head) : null);

    /// <summary>Lets the stable path of a volume lead to its head, as both are when nobody else can change them. An operation on the volume does it itself.</summary>
    /// <param name="volumeId">The volume, which may have been removed meanwhile.</param>
    /// <param name="isLocked">Whether the caller holds the volume's lock.</param>
    /// <returns>The volume's name, if its path led elsewhere.</returns>
    public string? Mend(long volumeId, bool isLocked = false)
    {
        using var mine = isLocked ? null : context.Locks.TryAcquire(LockKey.Volume(volumeId));
        if (mine is null && !isLocked) return null;
        string? mended = null;
        if (FindWrong(volumeId) is var (volume, head))
        {
            context.Storage.Publish(volume, head);
            mended = volume;
        }
        context.Database.Write(() => context.Catalog.Layers.SetPublished(volumeId), durable: false);
        return mended;
    }
}
