using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Power;

/// <summary>
/// What becomes of the new heads of a live snapshot that was not committed. The hypervisor may have switched to them: then
/// the guest's synced writes are in them, and they are the heads whatever became of the snapshot.
/// </summary>
internal static class LiveHeads
{
    /// <summary>Makes pending layers the heads of their volumes when a running machine writes to them, or one that has ended has written to them.</summary>
    /// <returns>The others, which nothing was written to, so that they can be deleted.</returns>
    public static List<PendingRow> KeepThoseInUse(EngineContext context, List<PendingRow> pending)
    {
        // The base of a clone lies on a head as well; it is in no machine, and nothing is in it.
        var heads = pending.FindAll(p => p.ParentId is { } id && context.Catalog.Layers.Get(id) is { State: LayerState.Head } below && IsInUse(context, p.File, below));
        if (heads.Count == 0) return pending;
        var replaced = heads.ConvertAll(p => context.Catalog.Layers.Get(p.ParentId!.Value));
        var facts = replaced.ConvertAll(l => LayerFiles.Measure(context.Storage, l));
        context.Database.Write(() =>
        {
            for (int i = 0; i < heads.Count; i++)
            {
                long volumeId = replaced[i].VolumeId!.Value;
                context.Catalog.Layers.Freeze(replaced[i].Id, facts[i]);
                context.Catalog.Pending.Delete(heads[i].File.Location);
                context.Catalog.Volumes.SetHead(volumeId, context.Catalog.Layers.InsertHead(volumeId, replaced[i].Id, heads[i].File, heads[i].Size), heads[i].Size);
                context.Catalog.Layers.SetUnpublished(volumeId);
            }
        });
        for (int i = 0; i < heads.Count; i++)
        {
            var volume = context.Catalog.Volumes.Get(replaced[i].VolumeId!.Value);
            context.Storage.Publish(volume.Name, heads[i].File);
            context.Database.Write(() => context.Catalog.Layers.SetPublished(volume.Id), durable: false);
        }
        return pending.FindAll(p => !heads.Contains(p));
    }

    private static bool IsInUse(EngineContext context, LayerFile file, LayerRow below)
    {
        var volume = context.Catalog.Volumes.Get(below.VolumeId!.Value);
        string path = context.Storage.PathOf(file);
        foreach (string vm in context.Catalog.Volumes.AttachedTo(volume.Id))
        {
            using var machine = context.FindMachine(context.ResolveVm(vm));
            if (machine is not null) return machine.Heads.Contains(path);
        }
        return context.Storage.IsHeld(file) || !context.Storage.IsEmpty(file);   // what has it open may be a machine that this session cannot see
    }
}
