namespace SnapshotTools.Core.Engine.Clones;

/// <summary>Makes clones of volumes, all of one instant.</summary>
internal sealed class CloneVolumes(EngineContext context, CloneRequest request) : Command<CloneResult>(context)
{
    private readonly CloneGroup _group = new(context, request.Sources, request.Linked, request.Pace);

    protected override IReadOnlyCollection<LockKey> Locks() => _group.Locks();

    protected override OperationPlan Plan()
    {
        var steps = _group.Plan();
        string names = string.Join(", ", _group.Entries.Select(e => $"'{e.Name}'"));
        string target = string.Join(", ", _group.Entries.Select(e => e.Snapshot is null ? e.Source.Name : $"{e.Source.Name}/{e.Snapshot.Name}"));
        return new OperationPlan
        {
            Kind = OperationKind.Clone,
            Target = target,
            Summary = $"Clone {target} as {names}{(request.Linked ? ", linked" : "")}.",
            Steps = steps,
            SpaceNeeded = _group.Space,
        };
    }

    protected override CloneResult Execute(OperationPlan plan, RunOptions options)
    {
        _group.Make(plan.Kind, plan.Target, options);
        return _group.Result();
    }
}
