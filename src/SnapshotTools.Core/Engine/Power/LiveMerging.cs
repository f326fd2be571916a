using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Power;

/// <summary>
/// Merges layers under a running guest. The hypervisor copies; the catalog follows when the images are durable. In between the
/// chain that the catalog has and the one that the hypervisor has read the same, so a session may die at any point: what became
/// of its merge is told by the base that the upper image names, and <see cref="Settle"/> lets the catalog follow. Of a hypervisor that
/// died too that cannot be believed: QEMU lets an image name its new base before it has written the tables that lead to the copied data.
/// </summary>
internal sealed class LiveMerging(EngineContext context, OperationRun run)
{
    private LayerTable Layers => context.Catalog.Layers;

    /// <summary>Merges a layer with its child if a running machine has them; false when none does.</summary>
    public bool TryMerge(long volumeId, LayerRow layer, LayerRow child)
    {
        using var machine = context.FindMachineOfVolume(volumeId);
        if (machine is null) return false;
        var volume = context.Catalog.Volumes.Get(volumeId);
        // A copy that was completed while the machine could not be told of it.
        if (Layers.Chain(volume.HeadId)[^1] is { External: false } bottom) machine.TakeReplacement(PathOf(bottom));
        var parent = layer.ParentId is { } id ? Layers.Get(id) : null;
        var cost = Estimate(context, layer, child);
        // Down only into a layer under a frozen one, on which nothing else lies: to let a disk write to another file than its
        // present head is a switch, after which nobody could tell the newer of two heads should everything die at once.
        var above = child.State == LayerState.Frozen && cost.DownBytes < cost.UpBytes && Layers.Children(child.Id) is [var only] && only.VolumeId == volumeId
            && CanWrite(machine, layer) && CanWrite(machine, only) ? only : null;
        if (above is null && !CanWrite(machine, child))
            throw new SnapshotException(ErrorIds.ImageInUse, ErrorKind.Busy, $"The running machine opened '{PathOf(child)}' by a link, so that nothing can be merged into it while it runs.", volume.Name);
        long bytes = above is null ? cost.UpBytes : cost.DownBytes;
        context.RequireSpace(bytes, $"Merging two layers of volume '{volume.Name}'");
        context.BeginMerge(layer);
        LayerRow[] written = above is null ? [child] : [layer, above];
        foreach (var row in written) context.Storage.SetFrozen(row.File, false);
        run.Log($"merging a layer of '{volume.Name}' {(above is null ? "up" : "down")} under the running guest: {ByteSize.Format(bytes)}");
        var merge = new LiveMerge(
            PathOf(layer), PathOf(child), parent is null ? null : (PathOf(parent), context.Storage.NameAsBase(parent.File)),
            above is null ? null : PathOf(above), context.Storage.NameAsBase(layer.File), run.Options.BytesPerSecond);
        try
        {
            if (!machine.TryMerge(merge, run.Report($"Merging layers of volume '{volume.Name}'", bytes), run.Cancellation)) return false;
        }
        catch (SnapshotException) when (machine.State == VmState.Stopped)
        {
            return false;   // it ended meanwhile, and its layers are free
        }
        finally
        {
            foreach (var row in written.Where(r => r.State == LayerState.Frozen)) context.Storage.SetFrozen(row.File, true);
        }
        run.Log("the images are merged");
        if (above is null) EndUp(context, layer, child);
        else EndDown(context, layer, child, above);
        return true;
    }

    /// <summary>Lets the catalog follow the merges of a volume that were begun; those that came to nothing are begun again some day.</summary>
    /// <returns>Whether the catalog has changed.</returns>
    public static bool Settle(EngineContext context, long volumeId)
    {
        var begun = context.Catalog.Layers.Merging(volumeId);
        if (begun.Count == 0) return false;
        bool isRunning;
        using (var machine = context.FindMachineOfVolume(volumeId))
        {
            isRunning = machine is not null;
            machine?.EndAbandonedMerges();
        }
        return begun.ConvertAll(layer => SettleOne(context, layer, isRunning)).Contains(true);   // all of them, not only the first
    }

    /// <summary>What a merge copies at most, by what the files occupy: their content is the hypervisor's to know.</summary>
    public static MergeCost Estimate(EngineContext context, LayerRow layer, LayerRow child) => new(
        context.Storage.Measure(layer.File)?.AllocatedBytes ?? 0, context.Storage.Measure(child.File)?.AllocatedBytes ?? 0);

    private static bool SettleOne(EngineContext context, LayerRow layer, bool isRunning)
    {
        // A file that is gone was merged down by a session that had the layers to itself, and that is settled elsewhere.
        if (context.Storage.Measure(layer.File) is null || context.Catalog.Layers.Children(layer.Id) is not [var child]) return false;
        string name = context.Storage.NameAsBase(layer.File);
        var parent = layer.ParentId is { } id ? context.Catalog.Layers.Get(id) : null;
        if (context.Storage.BaseNameOf(child.File) == (parent is null ? null : context.Storage.NameAsBase(parent.File)))
        {
            if (!isRunning) return PutBack(context, child, layer);
            EndUp(context, layer, child);
        }
        else if (context.Catalog.Layers.Children(child.Id) is [var above] && context.Storage.BaseNameOf(above.File) == name)
        {
            if (!isRunning) return PutBack(context, above, child);
            EndDown(context, layer, child, above);
        }
        else return false;
        return true;
    }

    /// <summary>Lets an image lie again on the layer that it had before the merge: it reads right over that, whether or not all of the
    /// layer's data is in it, and is merged anew.</summary>
    private static bool PutBack(EngineContext context, LayerRow row, LayerRow under)
    {
        try
        {
            using (context.Storage.Reserve([row.File]))
            {
                context.Storage.Rename(row.File, under.File, context.IdentityOf(row, context.Catalog.Volumes.Get(row.VolumeId!.Value)));
                LayerFiles.Refreeze(context, row);
            }
        }
        catch (SnapshotException error) when (error.ErrorId == ErrorIds.ImageInUse)
        {
            // Whoever has it open is not known here; the merge is not either.
        }
        return false;
    }

    private static void EndUp(EngineContext context, LayerRow layer, LayerRow child)
    {
        context.Storage.MakeDurable([child.File]);
        var facts = LayerFiles.Measure(context.Storage, child);
        context.Database.Write(() =>
        {
            context.Catalog.Layers.SetParent(child.Id, layer.ParentId);
            if (child.State == LayerState.Frozen) context.Catalog.Layers.SetFacts(child.Id, facts);
            context.Catalog.Layers.Drop(layer);
        });
    }

    /// <summary>The layer now is what the child was; the snapshots of the child are its.</summary>
    private static void EndDown(EngineContext context, LayerRow layer, LayerRow child, LayerRow above)
    {
        context.Storage.MakeDurable([layer.File, above.File]);
        var (facts, aboveFacts) = (LayerFiles.Measure(context.Storage, layer), LayerFiles.Measure(context.Storage, above));
        context.Database.Write(() =>
        {
            context.Catalog.Layers.SetParent(above.Id, layer.Id);
            context.Catalog.Layers.SetSize(layer.Id, child.Size);
            context.Catalog.Layers.SetFacts(layer.Id, facts);
            if (above.State == LayerState.Frozen) context.Catalog.Layers.SetFacts(above.Id, aboveFacts);
            context.Catalog.Snapshots.MoveToLayer(child.Id, layer.Id);
            context.Catalog.Layers.SetNotMerging(layer.Id);
            context.Catalog.Layers.Drop(child);
        });
    }

    private bool CanWrite(IRunningMachine machine, LayerRow row) => row.State == LayerState.Head || machine.CanMergeInto(PathOf(row));

    private string PathOf(LayerRow layer) => context.Storage.PathOf(layer.File);
}
