using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Clones;

/// <summary>
/// Begins to make linked clones independent: each of their layers that lies on another volume is to be filled by a copy. A head
/// is frozen for that, with a new one over it, so that its guest can go on.
/// </summary>
internal sealed class FlattenVolumes(EngineContext context, IReadOnlyList<string> volumes, CopyPace pace) : Command<CloneResult>(context)
{
    private readonly List<(VolumeRow Volume, LayerRow Layer, long Bytes)> _linked = [];

    protected override IReadOnlyCollection<LockKey> Locks() =>
        [.. volumes.Select(Context.ResolveVolume).SelectMany(v => Catalog.Machines.AllAttachmentsOf(v.Id).Select(a => LockKey.Vm(a.VmId)).Prepend(LockKey.Volume(v.Id))).Distinct()];

    protected override OperationPlan Plan()
    {
        _linked.Clear();
        var steps = new List<PlanStep>();
        foreach (var volume in volumes.Select(Context.ResolveVolume))
        {
            foreach (var layer in Catalog.Layers.OfVolume(volume.Id).Where(l => l.ParentId is { } id && Catalog.Layers.Get(id).VolumeId != volume.Id))
            {
                if (Catalog.Copies.OfVolume(volume.Id).Exists(c => c.LayerId == layer.Id)) continue;
                long bytes = Catalog.Layers.Chain(layer.Id).Sum(l => Storage.Measure(l.File)?.AllocatedBytes ?? 0);
                _linked.Add((volume, layer, bytes));
                steps.Add(new PlanStep(PlanAction.CopyData, volume.Name, $"make volume '{volume.Name}' independent: copy up to {ByteSize.Format(bytes)}", BytesCopied: bytes));
            }
        }
        long space = steps.Sum(s => s.BytesCopied) + NewHeads.SpaceFor(Storage, _linked.Select(l => l.Volume.Size));
        Context.RequireSpace(space, "Making linked clones independent");
        string target = string.Join(", ", volumes);
        return new OperationPlan { Kind = OperationKind.Clone, Target = target, Summary = $"Make {target} independent of what {(volumes.Count == 1 ? "it lies" : "they lie")} on.", Steps = steps, SpaceNeeded = space };
    }

    protected override CloneResult Execute(OperationPlan plan, RunOptions options)
    {
        var frozen = _linked.FindAll(l => l.Layer.State == LayerState.Head);
        var heads = new NewHeads(Context);
        foreach (var (volume, layer, _) in frozen) heads.Add(volume, layer, null);
        using var machines = new SourceMachines(Context, frozen.ConvertAll(f => f.Volume));
        using var reserved = Storage.Reserve([.. frozen.Where(f => !machines.Has(f.Volume)).Select(f => f.Layer.File)]);
        var queued = new List<OperationRow>();
        using var run = OperationRun.Begin(Context, plan.Kind, plan.Target, options, heads.Register);
        try
        {
            heads.Create();
            run.Cancellation.ThrowIfCancellationRequested();
            machines.Switch(heads, run);
            var facts = frozen.ConvertAll(f => LayerFiles.Measure(Storage, f.Layer));
            run.Commit(() =>
            {
                for (int i = 0; i < frozen.Count; i++) Catalog.Layers.Freeze(frozen[i].Layer.Id, facts[i]);
                heads.Commit();
                foreach (var (volume, layer, bytes) in _linked)
                    queued.Add(CopyQueue.Add(Context, run.RowId, volume.Name, volume.Id, layer.Id, Catalog.Layers.Get(layer.ParentId!.Value).VolumeId!.Value, bytes, pace));
            });
        }
        catch (Exception error)
        {
            run.Fail(error);
            machines.Dispose();   // what is taken back asks QEMU anew, which talks to one at a time
            throw;
        }
        run.Afterwards(() =>
        {
            foreach (var (_, layer, _) in frozen) Storage.SetFrozen(layer.File, true);
            heads.Publish();
        });
        return Context.Database.Read(() => new CloneResult([.. volumes.Select(v => Context.ToModel(Context.ResolveVolume(v)))], [.. queued.Select(Context.ToModel)]));
    }

    /// <summary>A removal that makes the linked clones independent first.</summary>
    /// <param name="context">The store.</param>
    /// <param name="clones">The clones that stand in its way.</param>
    /// <param name="removal">The removal, planned as if they did not.</param>
    /// <param name="refusing">Plans the removal anew, refusing when there are clones still.</param>
    public static PlannedOperation<T> Before<T>(EngineContext context, IReadOnlyList<string> clones, PlannedOperation<T> removal, Func<PlannedOperation<T>> refusing)
    {
        if (clones.Count == 0) return removal;
        var flatten = new FlattenVolumes(context, clones, CopyPace.Unlimited).Prepare();
        var plan = removal.Plan with { Steps = [.. flatten.Plan.Steps, .. removal.Plan.Steps], SpaceNeeded = flatten.Plan.SpaceNeeded + removal.Plan.SpaceNeeded };
        return new PlannedOperation<T>(plan, (_, options) =>
        {
            flatten.Run(options);
            var open = context.Database.Read(() => clones.Select(context.ResolveVolume).SelectMany(v => context.Catalog.Copies.OfVolume(v.Id).Where(c => c.VolumeId == v.Id)).Select(c => context.Catalog.Operations.Get(c.OperationId)).ToList());
            foreach (var resting in open.Where(o => o.State is OperationState.Paused or OperationState.Failed)) CopyControl.Resume(context, resting);
            if (open.Count > 0) new CopyRunner(context, options).Run(open);
            var anew = refusing();
            // Copying takes its time. What came meanwhile was not there to be agreed to.
            if (!anew.Plan.Lost.SequenceEqual(removal.Plan.Lost))
                throw new SnapshotException(ErrorIds.PlanOutdated, ErrorKind.Conflict,
                    $"'{removal.Plan.Target}' changed while its clones were made independent, so that something else would be lost now. The clones are independent; nothing was removed. Look at the new plan with -WhatIf and run it again.", removal.Plan.Target);
            return anew.Run(options);
        });
    }
}
