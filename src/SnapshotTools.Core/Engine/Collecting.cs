using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Power;

namespace SnapshotTools.Core.Engine;

/// <summary>Deletes and merges the layers of volumes that nothing needs, as <see cref="LayerCollector"/> decides.</summary>
internal sealed class Collecting(EngineContext context)
{
    private LayerTable Layers => context.Catalog.Layers;

    /// <summary>What will go of a volume once some layers are released by their snapshots.</summary>
    /// <param name="volumeId">The volume.</param>
    /// <param name="released">The layers.</param>
    /// <param name="flattened">Whether the linked clones that lie on them are made independent first.</param>
    public CollectPlan PlanAfter(long volumeId, IReadOnlySet<long> released, bool flattened = false)
    {
        var layers = Layers.ForCollector(volumeId).Select(l => released.Contains(l.Id) ? l with { IsNeeded = !flattened && HasForeignChild(l.Id, volumeId) } : l);
        return LayerCollector.Plan(layers);
    }

    /// <summary>
    /// The same for what is connected with some layers, without a look at the rest of the volume: a restore costs the same after a
    /// thousand snapshots. What an earlier operation had to leave elsewhere is for Optimize-SnapshotStore.
    /// </summary>
    /// <param name="around">By volume: layers of it that may not be needed any more; those of other volumes and those that are gone do not count.</param>
    /// <param name="dropped">Of these, the heads that are still there and will be dropped.</param>
    /// <returns>The plan for each of the volumes.</returns>
    public IReadOnlyDictionary<long, CollectPlan> PlanAround(IReadOnlyDictionary<long, long[]> around, IReadOnlyCollection<long>? dropped = null)
    {
        var known = new Dictionary<long, CollectorLayer>();
        var unneeded = Look(Layers.ForCollector([.. around.Values.SelectMany(ids => ids)], id => id).FindAll(l => around.TryGetValue(l.VolumeId, out long[]? own) && own.Contains(l.Id)));
        while (unneeded.Count > 0)
        {
            // Whether a layer goes depends on what lies on it; what it lay on may be the next to go.
            var on = Layers.ChildrenForCollector(unneeded).FindAll(c => known[c.ParentId!.Value].VolumeId == c.VolumeId);
            var below = Layers.ForCollector(unneeded.FindAll(l => l.ParentId is not null), l => l.ParentId!.Value).FindAll(p => unneeded.Exists(l => l.ParentId == p.Id && l.VolumeId == p.VolumeId));
            unneeded = Look([.. on, .. below]);
        }
        return around.Keys.ToDictionary(volume => volume, volume => LayerCollector.Plan(known.Values.Where(l => l.VolumeId == volume)));

        // Those of the layers that were not known and are not needed.
        List<CollectorLayer> Look(List<CollectorLayer> layers) => layers.ConvertAll(l => dropped?.Contains(l.Id) == true ? l with { IsNeeded = false } : l)
            .FindAll(l => known.TryAdd(l.Id, l) && !l.IsNeeded);
    }

    /// <summary>The same for one volume.</summary>
    public CollectPlan PlanAround(long volumeId, long[] around, IReadOnlyCollection<long>? dropped = null) => PlanAround(new Dictionary<long, long[]> { [volumeId] = around }, dropped)[volumeId];

    /// <summary>The plan in words and bytes.</summary>
    /// <param name="volume">The volume's name.</param>
    /// <param name="plan">The plan.</param>
    /// <param name="known">A layer of the volume that need not be looked up.</param>
    public List<PlanStep> Describe(string volume, CollectPlan plan, LayerRow? known = null)
    {
        var steps = new List<PlanStep>();
        foreach (var layer in plan.Deletes.Select(id => known?.Id == id ? known : Layers.Get(id)))
        {
            long bytes = layer.External ? 0 : context.Storage.Measure(layer.File)?.AllocatedBytes ?? 0;
            steps.Add(new PlanStep(PlanAction.DeleteLayer, layer.Uid.ToString(), layer.External
                ? $"let go of the adopted image '{layer.Location}' of volume '{volume}', which is left as it is"
                : $"delete layer {Short(layer)} of volume '{volume}' ({ByteSize.Format(bytes)})", BytesFreed: bytes));
        }
        var carried = new Dictionary<long, long>();
        foreach (var (layerId, childId) in plan.Merges)
        {
            var (layer, child) = (Layers.Get(layerId), Layers.Get(childId));
            var cost = Estimate(layer, child);
            long up = cost.UpBytes + carried.GetValueOrDefault(layerId);
            bool isUp = up <= cost.DownBytes;
            carried[childId] = up;
            long allocated = context.Storage.Measure(layer.File)?.AllocatedBytes ?? 0;
            steps.Add(new PlanStep(isUp ? PlanAction.MergeUp : PlanAction.MergeDown, layer.Uid.ToString(),
                $"merge layer {Short(layer)} of volume '{volume}' {(isUp ? "into" : "with")} the one above it ({ByteSize.Format(Math.Min(up, cost.DownBytes))} to copy)",
                BytesCopied: Math.Min(up, cost.DownBytes), BytesFreed: Math.Max(0, allocated - up)));
        }
        return steps;
    }

    /// <summary>Forgets what the plan deletes; the files go with <see cref="DeleteGarbage"/>. Part of a transaction.</summary>
    public void DropDeleted(params IEnumerable<CollectPlan> plans)
    {
        foreach (var layer in Layers.Of([.. plans.SelectMany(p => p.Deletes)], id => id)) Layers.Drop(layer);
    }

    /// <summary>Deletes the files that the catalog has forgotten.</summary>
    public void DeleteGarbage()
    {
        Volumes.RemovedVolumes.Sweep(context);
        var locations = GarbageFiles();
        if (locations.Count == 0) return;
        context.Storage.Delete(locations);
        context.Database.Write(() => Layers.ForgetGarbage(locations), durable: false);
        context.DeletedInTheMeantime.Clear();
        context.GarbageLag.Reset();
    }

    /// <summary>Deletes them after what cannot fail any more: the next opening of the store deletes what stays.</summary>
    public void TryDeleteGarbage()
    {
        try
        {
            DeleteGarbage();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or SnapshotException)
        {
        }
    }

    /// <summary>
    /// Deletes them too, but waits for the disk once a second only, and when the store is closed: until then the catalog still has their names,
    /// and whoever opens the store deletes what a power cut brought back.
    /// </summary>
    public void DeleteGarbageNowAndThen()
    {
        if (context.GarbageLag.IsDue)
        {
            DeleteGarbage();
            return;
        }
        context.Storage.Delete(GarbageFiles().FindAll(context.DeletedInTheMeantime.Add), isDurable: false);
        context.GarbageLag.PutOff();
    }

    /// <summary>
    /// The files that the catalog has forgotten, none of which comes back. Of stable paths that is not so: a volume that is made meanwhile may have the name of
    /// one that was removed. They are deleted first, while nobody can commit such a volume.
    /// </summary>
    private List<string> GarbageFiles()
    {
        var locations = Layers.Garbage();
        if (!locations.Exists(context.Storage.IsPublishedLocation)) return locations;
        context.Database.Write(() =>
        {
            var links = Layers.Garbage().FindAll(context.Storage.IsPublishedLocation);
            context.Storage.Delete(links);
            Layers.ForgetGarbage(links);
        }, durable: false);
        return locations.FindAll(l => !context.Storage.IsPublishedLocation(l));
    }

    /// <summary>Does what was put off. A failure is no one's concern now: the next opening tries again.</summary>
    public void CatchUp()
    {
        try
        {
            if (context.GarbageLag.IsBehind) DeleteGarbage();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or SnapshotException)
        {
            // The names stay in the catalog.
        }
    }

    /// <summary>Deletes and merges all that nothing needs of these volumes; what another process has open is left for later.</summary>
    public void Run(IEnumerable<long> volumeIds, OperationRun run)
    {
        foreach (long volumeId in volumeIds)
        {
            var live = new LiveMerging(context, run);
            LiveMerging.Settle(context, volumeId);
            var plan = LayerCollector.Plan(Layers.ForCollector(volumeId));
            if (plan.Deletes.Count > 0) context.Database.Write(() => DropDeleted(plan));
            while (LayerCollector.Plan(Layers.ForCollector(volumeId)).Merges is [var (layer, child), ..])
            {
                run.Cancellation.ThrowIfCancellationRequested();
                try
                {
                    if (live.TryMerge(volumeId, Layers.Get(layer), Layers.Get(child)) || LiveMerging.Settle(context, volumeId)) DeleteGarbage();
                    else Merge(context.Catalog.Volumes.Get(volumeId), Layers.Get(layer), Layers.Get(child), run);
                }
                catch (SnapshotException error) when (error.ErrorId == ErrorIds.ImageInUse)
                {
                    run.Options.Warn?.Invoke($"{error.Message} Its layers are merged later: run Optimize-SnapshotStore when it is free.");
                    break;   // what lies above would be planned on the result of this merge
                }
            }
        }
        DeleteGarbage();
    }

    /// <summary>Collects, as an operation of its own, what an operation that is done has left; a failure or Ctrl+C is a warning, since nothing is lost by it.</summary>
    /// <param name="target">What was done.</param>
    /// <param name="volumeIds">The volumes.</param>
    /// <param name="options">How to run.</param>
    /// <param name="isTidy">Whether there is nothing to do but to delete files, where the operation has looked already.</param>
    public void RunAfter(string target, IReadOnlyCollection<long> volumeIds, RunOptions options, bool isTidy = false)
    {
        try
        {
            if (isTidy || volumeIds.All(id => LayerCollector.Plan(Layers.ForCollector(id)).IsEmpty))
            {
                DeleteGarbageNowAndThen();
                return;
            }
            using var run = OperationRun.Begin(context, OperationKind.Collect, target, options);
            try
            {
                Run(volumeIds, run);
                run.Commit(() => { });
            }
            catch (Exception error)
            {
                run.Fail(error);
                throw;
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or SnapshotException or OperationCanceledException)
        {
            options.Warn?.Invoke($"'{target}' is done, but layers that nobody needs are left: {error.Message} When the cause is gone, run Optimize-SnapshotStore.");
        }
    }

    private void Merge(VolumeRow volume, LayerRow layer, LayerRow child, OperationRun run)
    {
        var parent = layer.ParentId is { } id ? Layers.Get(id) : null;
        var identity = context.IdentityOf(child with { ParentId = layer.ParentId }, volume);
        // A layer whose file is gone was merged down by a process that died before it could say so.
        bool isMerged = context.Storage.Measure(layer.File) is null;
        using (context.Storage.Reserve(isMerged ? [child.File] : [layer.File, child.File]))
        {
            if (layer.IsMerging) TidyUp(layer, child);
            context.BeginMerge(layer);
            var cost = Estimate(layer, child);
            bool isUp = cost.UpBytes <= cost.DownBytes;
            long bytes = Math.Min(cost.UpBytes, cost.DownBytes);
            context.RequireSpace(bytes, $"Merging two layers of volume '{volume.Name}'");
            run.Log($"merging layer {Short(layer)} of '{volume.Name}' {(isUp ? "up into" : "down with")} {Short(child)}: {ByteSize.Format(bytes)}");
            var progress = run.Report($"Merging layers of volume '{volume.Name}'", bytes);
            if (isUp) context.Storage.MergeUp(layer.File, child.File, parent?.File, identity, progress, run.Cancellation);
            else context.Storage.MergeDown(layer.File, child.File, parent?.File, identity, progress, run.Cancellation);
            context.Storage.SetFrozen(child.File, child.State == LayerState.Frozen);
            var facts = LayerFiles.Measure(context.Storage, child);
            context.Database.Write(() =>
            {
                Layers.SetParent(child.Id, layer.ParentId);
                if (child.State == LayerState.Frozen) Layers.SetFacts(child.Id, facts);
                Layers.Drop(layer, hasFile: isUp);
            });
        }
        DeleteGarbage();
    }

    /// <summary>A merge that was interrupted may have left clusters that are allocated and not in use yet.</summary>
    private void TidyUp(LayerRow layer, LayerRow child)
    {
        foreach (var row in new[] { layer, child })
        {
            if (context.Storage.Measure(row.File) is null) continue;
            context.Storage.SetFrozen(row.File, false);
            context.Storage.Mend(row.File);
        }
    }

    /// <summary>A layer whose file is gone was merged down by a process that died before it could say so.</summary>
    private MergeCost Estimate(LayerRow layer, LayerRow child) =>
        child.VolumeId is { } volumeId && context.IsInRunningVm(volumeId) ? LiveMerging.Estimate(context, layer, child)
        : context.Storage.Measure(layer.File) is null ? new MergeCost(long.MaxValue, 0) : context.Storage.EstimateMerge(layer.File, child.File);

    private bool HasForeignChild(long layerId, long volumeId) => Layers.Children(layerId).Exists(c => c.VolumeId != volumeId);

    private static string Short(LayerRow layer) => layer.Uid.ToString("N")[^8..];
}
