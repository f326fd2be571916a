using System.Globalization;
using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Power;

namespace SnapshotTools.Core.Engine.Snapshots;

/// <summary>Takes a snapshot of a VM: freezes the heads of the volumes in scope and puts new ones over them.</summary>
internal sealed class CreateVmSnapshot(EngineContext context, NewSnapshotRequest request) : Command<VmSnapshot>(context)
{
    private readonly DateTimeOffset _createdAt = DateTimeOffset.UtcNow;
    private VmRow _vm = null!;
    private string _name = null!;
    private List<AttachmentRow> _attachments = null!;
    private List<AttachmentRow> _volumes = null!;
    private VmSnapshotRow? _existing;

    protected override IReadOnlyCollection<LockKey> Locks() => [LockKey.Vm(_vm.Id), .. _attachments.Select(a => LockKey.Volume(a.VolumeId))];

    protected override OperationPlan Plan()
    {
        _vm = Context.ResolveVm(request.Vm);
        _attachments = Catalog.Machines.Attachments(_vm.Id);
        _name = Names.Validate(request.Name ?? _createdAt.ToString("yyyy-MM-dd'T'HH-mm-ss'Z'", CultureInfo.InvariantCulture), "snapshot");
        string[] tags = SnapshotTags.Validate(request.Tags);
        _existing = Catalog.Snapshots.FindByName(_vm.Id, _name);
        string target = $"{_vm.Name}/{_name}";
        if (_existing is not null && request.Ensure)
            return new OperationPlan { Kind = OperationKind.Snapshot, Target = target, Summary = $"Snapshot '{_name}' of VM '{_vm.Name}' exists already; nothing is done." };
        VmRules.RequireNoError(_vm);
        if (_existing is not null)
            throw new SnapshotException(ErrorIds.NameExists, ErrorKind.Conflict,
                $"VM '{_vm.Name}' has a snapshot '{_existing.Name}' already. Choose another name, or use -Ensure if that one will do.", _name);
        if (request.ExpiresAt is { } expiry && expiry <= _createdAt)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, $"The snapshot would have expired already: {expiry:u} is in the past.", _name);
        _volumes = VolumesInScope(_vm, _attachments);
        CheckConsistency();
        long space = NewHeads.SpaceFor(Storage, _volumes.Select(v => v.Size));
        Context.RequireSpace(space, $"A snapshot of VM '{_vm.Name}'");
        return new OperationPlan
        {
            Kind = OperationKind.Snapshot,
            Target = target,
            Summary = $"Take snapshot '{_name}' of VM '{_vm.Name}' ({string.Join(", ", _volumes.Select(v => v.VolumeName))}){(tags.Length > 0 ? $", tagged {string.Join(", ", tags)}" : "")}.",
            Steps = [.. _volumes.Select(v => new PlanStep(PlanAction.Freeze, v.VolumeName, $"freeze the head of volume '{v.VolumeName}' and put a new empty one over it"))],
            SpaceNeeded = space,
        };
    }

    protected override VmSnapshot Execute(OperationPlan plan, RunOptions options)
    {
        if (_existing is not null) return Context.ToModel(_existing);
        var work = Context.Database.Read(Describe);
        var (snapshot, parts, frozen, heads) = (work.Snapshot, work.Parts, work.Frozen, work.Heads);
        using var machine = Context.FindMachine(_vm);
        // A running hypervisor holds the heads itself; of a stopped VM nobody may.
        using var reserved = machine is null ? Storage.Reserve([.. frozen.Select(l => l.File)]) : null;
        string? memory = request.Memory ? Storage.NewMemoryLocation(snapshot.Uid) : null;
        string? variables = FirmwareFiles.Of(Context, _vm, options.Warn);
        string? ofSnapshot = variables is null ? null : Storage.NewMemoryLocation(Guid.CreateVersion7());
        List<LayerFacts> facts;
        using var run = OperationRun.Begin(Context, OperationKind.Snapshot, plan.Target, options, id =>
        {
            heads.Register(id);
            if (ofSnapshot is not null) Catalog.Pending.InsertFile(id, ofSnapshot);
            if (memory is not null) Catalog.Pending.InsertFile(id, memory);
        });
        try
        {
            heads.Create();
            run.Log($"{parts.Count} new heads are durable");
            run.Cancellation.ThrowIfCancellationRequested();
            if (machine is not null) snapshot = Context.About(_vm, () => new LiveSnapshot(Context, _vm.Name, request, run).Take(machine, heads, snapshot, memory));
            else run.BeginPoint().Dispose();
            if (ofSnapshot is not null) FirmwareFiles.Copy(Context, variables!, ofSnapshot);
            facts = frozen.ConvertAll(l => LayerFiles.Measure(Storage, l));
            run.Commit(() =>
            {
                long snapshotId = Catalog.Snapshots.Insert(snapshot);
                snapshot = snapshot with { Id = snapshotId };
                parts = parts.ConvertAll(p => p with { Id = Catalog.Snapshots.InsertVolumeSnapshot(p with { VmSnapshotId = snapshotId }) });
                for (int i = 0; i < frozen.Count; i++) Catalog.Layers.Freeze(frozen[i].Id, facts[i]);
                heads.Commit(parts.ConvertAll(p => p.Id));
                if (ofSnapshot is not null) Catalog.Machines.SetFirmwareOfSnapshot(snapshotId, ofSnapshot);
                Catalog.Machines.SetPresent(_vm.Id, snapshotId);
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
            foreach (var layer in frozen) Storage.SetFrozen(layer.File, true);
            heads.Publish();
        });
        run.Log("the stable paths lead to the new heads");
        return Result(work with { Snapshot = snapshot, Parts = parts }, facts);
    }

    /// <summary>The snapshot as a list would show it, without asking for what is known.</summary>
    private VmSnapshot Result(Work work, List<LayerFacts> facts) => Context.ToModel(work.Snapshot, _vm with { PresentId = work.Snapshot.Id }, work.Parent,
        [.. work.Parts.Select((part, i) => Context.ToModel(ListedPart.Of(part, work.Frozen[i] with { Allocated = facts[i].AllocatedBytes }), work.Volumes[i] with { PresentId = part.Id },
            work.Identities[i].Parent, work.Snapshot.Uid, linkedClones: []))]);

    private Work Describe()
    {
        var rows = Catalog.Volumes.Of(_volumes, v => v.VolumeId);
        var frozen = Catalog.Layers.Of(rows, v => v.HeadId);
        var configuration = EngineContext.ConfigurationOf(_vm, _attachments);
        var snapshot = NewRow(configuration);
        var parent = snapshot.ParentId is { } id ? Catalog.Snapshots.Find(id) : null;
        var parts = rows.Select((volume, i) => new VolumeSnapshotRow(0, Guid.CreateVersion7(), volume.Id, volume.PresentId, null, _volumes[i].Position, _name, _createdAt, null, frozen[i].Id)).ToList();
        var identities = Context.IdentitiesOf(parts, EngineContext.IdentityOf(snapshot, parent, configuration));
        var heads = new NewHeads(Context);
        for (int i = 0; i < rows.Count; i++) heads.Add(rows[i], frozen[i], identities[i]);
        return new Work(snapshot, parent, parts, identities, rows, frozen, heads);
    }

    private void CheckConsistency()
    {
        if (request.Memory && _attachments.FindAll(a => !_volumes.Contains(a)) is { Count: > 0 } others)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput,
                $"The memory of VM '{_vm.Name}' belongs to all of its volumes, and {string.Join(", ", others.Select(o => $"'{o.VolumeName}'"))} would not be in the checkpoint. Leave -Scope and -Volume away, or -Memory.", _vm.Name);
        bool isRunning = Context.StateOf(_vm) is VmState.Running or VmState.Paused;
        if (request.Memory && !(isRunning && Context.Compute!.Capabilities.CanSaveMemory))
            throw new SnapshotException(ErrorIds.MemoryNotAvailable, ErrorKind.Conflict, isRunning
                ? $"The memory of VM '{_vm.Name}' cannot be saved here: {Context.Compute!.Capabilities.Reason}. Leave -Memory away."
                : $"VM '{_vm.Name}' is not running, so there is no memory to save. Leave -Memory away, or start the VM first.", _vm.Name);
        // A guest that was saved with its file systems frozen would wake up with them frozen, and nobody there to thaw them.
        if (request.Memory && request.Freeze != FileSystemFreeze.No)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, "A checkpoint holds the file systems as they are in memory; they are not frozen for it. Use -Memory or -Consistency FileSystem, not both.", _vm.Name);
        if (request.Freeze == FileSystemFreeze.Required && !isRunning)
            throw new SnapshotException(ErrorIds.ConsistencyNotAvailable, ErrorKind.Conflict, $"VM '{_vm.Name}' is not running, so there is no guest to freeze its file systems. A stopped VM's snapshot is consistent without.", _vm.Name);
    }

    private VmSnapshotRow NewRow(VmConfiguration configuration) => new(
        0, Guid.CreateVersion7(), _vm.Id, _vm.PresentId, _name, _createdAt, string.IsNullOrWhiteSpace(request.Description) ? null : request.Description,
        Json.Write(SnapshotTags.Validate(request.Tags)), request.ExpiresAt, request.Volumes.Count > 0 ? SnapshotScope.Named : request.Scope, SnapshotConsistency.Crash,
        IsBackup: false, Pause: null, Memory: null, MemoryBytes: 0, Json.Write(configuration));

    private List<AttachmentRow> VolumesInScope(VmRow row, List<AttachmentRow> all)
    {
        var chosen = request.Volumes.Count > 0 ? VmRules.NamedVolumes(row, all, request.Volumes) : request.Scope switch
        {
            SnapshotScope.All => all,
            SnapshotScope.Boot => all.FindAll(a => a.Boot),
            SnapshotScope.Data => all.FindAll(a => !a.Boot),
            _ => throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, "The scope Named needs the names of volumes: -Volume.", row.Name),
        };
        return chosen.Count > 0 ? chosen : throw new SnapshotException(ErrorIds.EmptyScope, ErrorKind.InvalidInput,
            all.Count == 0 ? $"VM '{row.Name}' has no volumes. Attach one first: Mount-VmVolume {row.Name} <volume>"
            : $"VM '{row.Name}' has no volume in scope {request.Scope}. It has: {string.Join(", ", all.Select(a => a.VolumeName + (a.Boot ? " (boot)" : "")))}", row.Name);
    }

    /// <summary>What is to be written down, and the heads that are to be made.</summary>
    private sealed record Work(
        VmSnapshotRow Snapshot, VmSnapshotRow? Parent, List<VolumeSnapshotRow> Parts, List<SnapshotIdentity> Identities, List<VolumeRow> Volumes, List<LayerRow> Frozen, NewHeads Heads);
}
