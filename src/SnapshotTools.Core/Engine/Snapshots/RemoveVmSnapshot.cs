using System.Globalization;
using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Snapshots;

/// <summary>Removes VM snapshots: forgets them in one transaction, then deletes and merges the layers that nothing needs.</summary>
internal sealed class RemoveVmSnapshot(EngineContext context, RemoveSnapshotRequest request) : Command<IReadOnlyList<VmSnapshot>>(context)
{
    private readonly Collecting _collecting = new(context);
    private VmRow _vm = null!;
    private List<VmSnapshotRow> _doomed = null!;

    protected override IReadOnlyCollection<LockKey> Locks()
    {
        var row = Context.ResolveVm(request.Vm);
        var snapshots = WithDescendants(Context.ResolveSnapshot(row, request.Snapshot));
        return [LockKey.Vm(row.Id), .. snapshots.SelectMany(s => Catalog.Snapshots.OfVmSnapshot(s.Id)).Select(s => LockKey.Volume(s.VolumeId)).Distinct()];
    }

    protected override OperationPlan Plan()
    {
        _vm = Context.ResolveVm(request.Vm);
        VmRules.RequireNoError(_vm);
        var named = Context.ResolveSnapshot(_vm, request.Snapshot);
        _doomed = WithDescendants(named);
        string names = string.Join(", ", _doomed.Select(s => $"'{s.Name}'"));
        var steps = _doomed.ConvertAll(s => new PlanStep(PlanAction.Forget, s.Uid.ToString(), string.Create(CultureInfo.InvariantCulture, $"forget snapshot '{s.Name}' of {s.CreatedAt.ToLocalTime():yyyy-MM-dd HH:mm:ss}")));
        if (!request.MetadataOnly)
        {
            steps.AddRange(SnapshotLayers.DescribeRelease(Context, _collecting, _doomed.SelectMany(s => Catalog.Snapshots.OfVmSnapshot(s.Id)).ToList(), request.Dependants));
            steps.AddRange(_doomed.Where(s => s.Memory is not null).Select(s => new PlanStep(PlanAction.DeleteFile, s.Memory!, $"delete the memory of checkpoint '{s.Name}'", BytesFreed: s.MemoryBytes)));
        }
        return new OperationPlan
        {
            Kind = OperationKind.Remove,
            Target = $"{_vm.Name}/{named.Name}",
            Summary = request.MetadataOnly
                ? $"Forget snapshot {names} of VM '{_vm.Name}' and keep its volume snapshots."
                : $"Remove snapshot {names} of VM '{_vm.Name}'.",
            Steps = steps,
            Lost = [.. _doomed.Select(Describe)],
            SpaceNeeded = steps.Count == 0 ? 0 : steps.Max(s => s.BytesCopied),
        };
    }

    protected override IReadOnlyList<VmSnapshot> Execute(OperationPlan plan, RunOptions options)
    {
        var removed = _doomed.ConvertAll(Context.ToModel);
        var parts = _doomed.ToDictionary(s => s.Id, s => Catalog.Snapshots.OfVmSnapshot(s.Id));
        var volumes = parts.Values.SelectMany(p => p).Select(p => p.VolumeId).Distinct().ToList();
        using var run = OperationRun.Begin(Context, OperationKind.Remove, plan.Target, options);
        try
        {
            Context.Database.Write(() =>
            {
                foreach (var snapshot in _doomed)
                {
                    if (!request.MetadataOnly) parts[snapshot.Id].ForEach(Catalog.Snapshots.DeleteVolumeSnapshot);
                    Catalog.Snapshots.Delete(snapshot);
                }
            });
            run.Log($"{_doomed.Count} snapshots are forgotten");
            if (!request.MetadataOnly) SnapshotLayers.Collect(Context, _collecting, volumes, run);
            run.Commit(() => { });
        }
        catch (Exception error)
        {
            run.Fail(error);
            throw;
        }
        return removed;
    }

    /// <summary>The snapshots that a request removes.</summary>
    public static List<VmSnapshotRow> Doomed(EngineContext context, RemoveSnapshotRequest request) =>
        new RemoveVmSnapshot(context, request).WithDescendants(context.ResolveSnapshot(context.ResolveVm(request.Vm), request.Snapshot));

    private List<VmSnapshotRow> WithDescendants(VmSnapshotRow top)
    {
        List<VmSnapshotRow> all = [top];
        if (!request.IncludeChildren) return all;
        for (int i = 0; i < all.Count; i++) all.AddRange(Catalog.Snapshots.Children(all[i].Id).Select(Catalog.Snapshots.Get));
        all.Reverse();   // children before their parents
        return all;
    }

    private string Describe(VmSnapshotRow s) => string.Create(CultureInfo.InvariantCulture,
        $"snapshot '{s.Name}' of VM '{_vm.Name}', taken {s.CreatedAt.ToLocalTime():yyyy-MM-dd HH:mm:ss}{(s.Description is null ? "" : $" ({s.Description})")}");
}
