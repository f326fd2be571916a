using System.Globalization;
using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Power;

namespace SnapshotTools.Core.Engine.VolumeSnapshots;

/// <summary>Takes a snapshot of one volume.</summary>
internal sealed class CreateVolumeSnapshot(EngineContext context, string volumeName, string? wantedName, string? description, bool ensure) : Command<VolumeSnapshot>(context)
{
    private readonly DateTimeOffset _createdAt = DateTimeOffset.UtcNow;
    private VolumeRow _volume = null!;
    private VolumeSnapshotRow? _existing;
    private string _name = null!;

    protected override IReadOnlyCollection<LockKey> Locks() => [LockKey.Volume(Context.ResolveVolume(volumeName).Id)];

    protected override OperationPlan Plan()
    {
        _volume = Context.ResolveVolume(volumeName);
        VolumeRules.RequireNoError(Context, _volume);
        _name = Names.Validate(wantedName ?? _createdAt.ToString("yyyy-MM-dd'T'HH-mm-ss'Z'", CultureInfo.InvariantCulture), "snapshot");
        _existing = Catalog.Snapshots.OfVolume(_volume.Id).Find(s => string.Equals(s.Name, _name, StringComparison.OrdinalIgnoreCase));
        if (_existing is not null && !ensure)
            throw new SnapshotException(ErrorIds.NameExists, ErrorKind.Conflict,
                $"Volume '{_volume.Name}' has a snapshot '{_existing.Name}' already. Choose another name, or use -Ensure if that one will do.", _name);
        if (_existing is not null)
            return new OperationPlan { Kind = OperationKind.Snapshot, Target = $"{_volume.Name}/{_name}", Summary = $"Snapshot '{_name}' of volume '{_volume.Name}' exists already; nothing is done." };
        long space = NewHeads.SpaceFor(Storage, [_volume.Size]);
        Context.RequireSpace(space, $"A snapshot of volume '{_volume.Name}'");
        return new OperationPlan
        {
            Kind = OperationKind.Snapshot,
            Target = $"{_volume.Name}/{_name}",
            Summary = $"Take snapshot '{_name}' of volume '{_volume.Name}'.",
            Steps = [new PlanStep(PlanAction.Freeze, _volume.Name, $"freeze the head of volume '{_volume.Name}' and put a new empty one over it")],
            SpaceNeeded = space,
        };
    }

    protected override VolumeSnapshot Execute(OperationPlan plan, RunOptions options)
    {
        if (_existing is not null) return Context.ToModel(_existing);
        var frozen = Catalog.Layers.Get(_volume.HeadId);
        var snapshot = new VolumeSnapshotRow(0, Guid.CreateVersion7(), _volume.Id, _volume.PresentId, null, 0, _name, _createdAt, string.IsNullOrWhiteSpace(description) ? null : description, frozen.Id);
        var heads = new NewHeads(Context);
        heads.Add(_volume, frozen, Context.IdentityOf(snapshot));
        using var machine = Context.FindMachineOfVolume(_volume.Id);
        using var reserved = machine is null ? Storage.Reserve([frozen.File]) : null;
        using var run = OperationRun.Begin(Context, OperationKind.Snapshot, plan.Target, options, heads.Register);
        try
        {
            heads.Create();
            if (machine is not null)
            {
                using var prepared = machine.PrepareSwitch(heads.ForMachine(), run.Cancellation);
                run.Log($"the running disk writes to the new head after {prepared.Switch(null, null, run.Cancellation).Pause.TotalMilliseconds:0.0} ms");
            }
            var facts = LayerFiles.Measure(Storage, frozen);
            run.Cancellation.ThrowIfCancellationRequested();
            run.Commit(() =>
            {
                Catalog.Layers.Freeze(frozen.Id, facts);
                heads.Commit([Catalog.Snapshots.InsertVolumeSnapshot(snapshot)]);
            });
        }
        catch (Exception error)
        {
            run.Fail(error);
            machine?.Dispose();   // what is taken back asks QEMU anew, which talks to one at a time
            throw;
        }
        run.Afterwards(() =>
        {
            Storage.SetFrozen(frozen.File, true);
            heads.Publish();
        });
        return Context.ToModel(Catalog.Snapshots.FindVolumeSnapshot(snapshot.Uid)!);
    }
}
