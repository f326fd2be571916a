using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Upkeep;

/// <summary>Merges and deletes all layers that nothing needs, mends stable paths and clears away what was left of them, and forgets operations that ended long ago.</summary>
internal sealed class OptimizeStore(EngineContext context) : Command<long>(context)
{
    private static readonly TimeSpan OperationsAreKept = TimeSpan.FromDays(30);

    private readonly Collecting _collecting = new(context);
    private List<long> _volumes = [];

    protected override IReadOnlyCollection<LockKey> Locks() => [.. Catalog.Layers.VolumesWithUnneededLayers().Select(LockKey.Volume)];

    protected override OperationPlan Plan()
    {
        _volumes = Catalog.Layers.VolumesWithUnneededLayers();
        var steps = _volumes.SelectMany(id => _collecting.Describe(Catalog.Volumes.Get(id).Name, LayerCollector.Plan(Catalog.Layers.ForCollector(id)))).ToList();
        return new OperationPlan
        {
            Kind = OperationKind.Collect,
            Target = Context.Store,
            Summary = steps.Count == 0 ? "No layer is to be merged or deleted." : $"Merge or delete {steps.Count} layers that nothing needs.",
            Steps = steps,
            SpaceNeeded = steps.Count == 0 ? 0 : steps.Max(s => s.BytesCopied),
        };
    }

    protected override long Execute(OperationPlan plan, RunOptions options)
    {
        long before = Allocated();
        using var run = OperationRun.Begin(Context, OperationKind.Collect, plan.Target, options);
        try
        {
            _collecting.Run(_volumes, run);
            foreach (var volume in Catalog.Volumes.All())
            {
                var head = Catalog.Layers.Get(volume.HeadId).File;
                if (Storage.IsPublished(volume.Name, head)) continue;
                using var mine = Context.Locks.TryAcquire(LockKey.Volume(volume.Id));
                if (mine is not null || _volumes.Contains(volume.Id)) Storage.Publish(volume.Name, head);
            }
            Storage.TidyPublished();    // whoever used a volume after the kill has published it, and nothing tells of the link any more
            run.Commit(() => Catalog.Operations.Forget(DateTimeOffset.UtcNow - OperationsAreKept));
        }
        catch (Exception error)
        {
            run.Fail(error);
            throw;
        }
        return Math.Max(0, before - Allocated());
    }

    private long Allocated() => _volumes.SelectMany(Catalog.Layers.OfVolume).Where(l => !l.External).Sum(l => Storage.Measure(l.File)?.AllocatedBytes ?? 0);
}
