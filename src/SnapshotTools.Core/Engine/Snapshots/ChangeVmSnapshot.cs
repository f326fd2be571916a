namespace SnapshotTools.Core.Engine.Snapshots;

/// <summary>Renames a VM snapshot, or changes its description, tags and expiry.</summary>
internal sealed class ChangeVmSnapshot(EngineContext context, string vmName, string snapshotName, string? newName, SnapshotChanges changes) : Command<VmSnapshot>(context)
{
    private long _id;

    protected override IReadOnlyCollection<LockKey> Locks() => [LockKey.Vm(Context.ResolveVm(vmName).Id)];

    protected override OperationPlan Plan()
    {
        var vm = Context.ResolveVm(vmName);
        var snapshot = Context.ResolveSnapshot(vm, snapshotName);
        _id = snapshot.Id;
        if (newName is not null)
        {
            Names.Validate(newName, "snapshot");
            if (Catalog.Snapshots.FindByName(vm.Id, newName) is { } other && other.Id != _id)
                throw new SnapshotException(ErrorIds.NameExists, ErrorKind.Conflict, $"VM '{vm.Name}' has a snapshot '{other.Name}' already. Choose another name.", newName);
        }
        if (changes.Tags is not null) SnapshotTags.Validate(changes.Tags);
        if (changes.ExpiresAt is { } expiry && expiry <= DateTimeOffset.UtcNow)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, $"The snapshot would have expired already: {expiry:u} is in the past.", snapshot.Name);
        return new OperationPlan
        {
            Kind = OperationKind.Snapshot,
            Target = $"{vm.Name}/{snapshot.Name}",
            Summary = newName is not null
                ? $"Rename snapshot '{snapshot.Name}' of VM '{vm.Name}' to '{newName}'."
                : $"Change {string.Join(", ", Changed())} of snapshot '{snapshot.Name}' of VM '{vm.Name}'.",
            Steps = [new PlanStep(PlanAction.Update, snapshot.Uid.ToString(), "change the catalog; no layer is touched")],
        };
    }

    protected override VmSnapshot Execute(OperationPlan plan, RunOptions options)
    {
        Context.Database.Write(() =>
        {
            var now = Catalog.Snapshots.Get(_id);
            if (newName is not null) Catalog.Snapshots.Rename(_id, newName);
            string? description = changes.Description is null ? now.Description : changes.Description.Length == 0 ? null : changes.Description;
            string tags = changes.Tags is null ? now.Tags : Json.Write(SnapshotTags.Validate(changes.Tags));
            Catalog.Snapshots.Update(_id, description, tags, changes.NeverExpires ? null : changes.ExpiresAt ?? now.ExpiresAt);
        });
        return Context.ToModel(Catalog.Snapshots.Get(_id));
    }

    private IEnumerable<string> Changed()
    {
        if (changes.Description is not null) yield return "the description";
        if (changes.Tags is not null) yield return "the tags";
        if (changes.ExpiresAt is not null || changes.NeverExpires) yield return "the expiry";
        if (changes is { Description: null, Tags: null, ExpiresAt: null, NeverExpires: false }) yield return "nothing";
    }
}
