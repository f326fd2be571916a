using System.Globalization;
using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Upkeep;

/// <summary>Merges and deletes all layers that nothing needs, mends stable paths and deletes links that were left beside them, and forgets operations that ended long ago.</summary>
internal sealed class OptimizeStore(EngineContext context) : Command<long>(context)
{
    private static readonly TimeSpan OperationsAreKept = TimeSpan.FromDays(30);

    private readonly Collecting _collecting = new(context);
    private readonly StablePaths _paths = new(context);
    private List<long> _volumes = [];
    private List<VolumeRow> _astray = [];
    private IReadOnlyList<string> _leftLinks = [];

    protected override IReadOnlyCollection<LockKey> Locks() => [.. Catalog.Layers.VolumesWithUnneededLayers().Select(LockKey.Volume)];

    protected override OperationPlan Plan()
    {
        _volumes = Catalog.Layers.VolumesWithUnneededLayers();
        _astray = _paths.Wrong();
        _leftLinks = Storage.LeftLinks();
        var collected = _volumes.SelectMany(id => _collecting.Describe(Catalog.Volumes.Get(id).Name, LayerCollector.Plan(Catalog.Layers.ForCollector(id)))).ToList();
        List<PlanStep> steps = [.. collected, .. _astray.Select(v => StablePaths.Step(v.Name)), .. _leftLinks.Select(StablePaths.StepOfLeft)];
        return new OperationPlan
        {
            Kind = OperationKind.Collect,
            Target = Context.Store,
            Summary = string.Create(CultureInfo.InvariantCulture, $"{(collected.Count == 0 ? "No layer is to be merged or deleted." : $"Merge or delete {collected.Count} layers that nothing needs.")}{(steps.Count > collected.Count ? $" Mend {steps.Count - collected.Count} links of stable paths." : "")}"),
            Steps = steps,
            SpaceNeeded = collected.Count == 0 ? 0 : collected.Max(s => s.BytesCopied),
        };
    }

    protected override long Execute(OperationPlan plan, RunOptions options)
    {
        long before = Allocated();
        using var run = OperationRun.Begin(Context, OperationKind.Collect, plan.Target, options);
        try
        {
            _collecting.Run(_volumes, run);
            foreach (var volume in _astray) _paths.Mend(volume.Id, isLocked: _volumes.Contains(volume.Id));
            Storage.Delete(_leftLinks, isDurable: false);
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
