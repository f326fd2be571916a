using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Machines;
using SnapshotTools.Core.Engine.Power;
using SnapshotTools.Core.Engine.Snapshots;

namespace SnapshotTools.Core.Engine.Clones;

/// <summary>Makes VMs that are configured as another one, or a template, is or was, with clones of its volumes, all of one instant.</summary>
internal sealed class CloneVm(EngineContext context, VmCloneRequest request, bool asTemplate = false) : Command<VmCloneResult>(context)
{
    private VmRow _source = null!;
    private VmSnapshotRow? _snapshot;
    private VmConfiguration _configuration = null!;
    private List<string> _names = null!;
    private List<VmAttachment> _attachments = null!;
    private CloneGroup _group = null!;

    private string What => asTemplate ? "template" : "VM instance";

    protected override IReadOnlyCollection<LockKey> Locks() => [LockKey.Vm(_source.Id), .. _group.Locks()];

    protected override OperationPlan Plan()
    {
        Resolve();
        VmRules.RequireNoFailedRestore(_source);
        foreach (string name in _names)
        {
            Names.Validate(name, What);
            RequireFree(name);
        }
        if (request.ProcessorCount is { } processors) CreateVm.ValidProcessors(processors, _source.Name);
        if (request.MemoryBytes is { } memory) CreateVm.ValidMemory(memory, _source.Name);
        CheckMemory();
        List<PlanStep> steps = _attachments.Count == 0 ? [] : _group.Plan();
        string from = _snapshot is null ? _source.Name : $"{_source.Name}/{_snapshot.Name}";
        return new OperationPlan
        {
            Kind = OperationKind.Clone,
            Target = from,
            Summary = $"Make {What} {string.Join(", ", _names.Select(n => $"'{n}'"))} of {(_source.IsTemplate ? "template" : "VM")} '{_source.Name}'{(_snapshot is null ? "" : $" as of snapshot '{_snapshot.Name}'")}{(request.Linked ? ", linked" : "")}.",
            Steps = steps,
            SpaceNeeded = _group.Space,
        };
    }

    protected override VmCloneResult Execute(OperationPlan plan, RunOptions options)
    {
        var ids = new List<long>();
        var firmware = new FirmwareCopies(Context, _snapshot is null ? FirmwareFiles.Of(Context, _source, options.Warn) : FirmwareFiles.Of(Context, _snapshot, options.Warn), _names.Count);
        _group.Make(plan.Kind, plan.Target, options, firmware, () => ids.AddRange(Insert(firmware)));
        return Context.Database.Read(() => new VmCloneResult([.. ids.Select(id => Context.ToModel(Catalog.Machines.Get(id)))], _group.Result()));
    }

    private void Resolve()
    {
        _source = Context.ResolveVm(request.Source);
        _snapshot = request.Snapshot is null ? null : Context.ResolveSnapshot(_source, request.Snapshot);
        var then = _snapshot is null ? Context.ConfigurationOf(_source) : Json.Read<VmConfiguration>(_snapshot.Configuration);
        _configuration = then with
        {
            ProcessorCount = request.ProcessorCount ?? then.ProcessorCount,
            MemoryBytes = request.MemoryBytes ?? then.MemoryBytes,
            Description = request.Description ?? then.Description,
        };
        if (request.Count is < 1 or > 1000)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, $"{request.Count} VMs cannot be made at once. Use 1 to 1000.", request.Count);
        _names = request.Count > 1 || request.Name?.Contains('#', StringComparison.Ordinal) == true
            ? CloneNames.Numbered(request.Name ?? _source.Name, request.Count, n => Catalog.Machines.FindByName(n) is not null)
            : [CloneNames.Of(request.Name, _source.Name, n => Catalog.Machines.FindByName(n) is not null)];
        var parts = _snapshot is null ? null : Catalog.Snapshots.OfVmSnapshot(_snapshot.Id).ToDictionary(p => Catalog.Volumes.Get(p.VolumeId).Uid, p => p.Uid);
        _attachments = [.. then.Volumes.Where(v => parts is null || parts.ContainsKey(v.VolumeId))];
        var sources = _names.SelectMany(name => _attachments.Select(a => new CloneSource(a.VolumeId.ToString(), parts?[a.VolumeId], CloneNames.OfVolume(a.Volume, then.Name, name)))).ToList();
        _group = new CloneGroup(Context, sources, request.Linked, request.Pace);
    }

    private void CheckMemory()
    {
        if (!request.IncludeMemory) return;
        if (_snapshot?.Memory is null)
            throw new SnapshotException(ErrorIds.MemoryNotAvailable, ErrorKind.InvalidInput, $"There is no memory to include: {(_snapshot is null ? "the present was asked for" : $"snapshot '{_snapshot.Name}' has none")}. Name a checkpoint with -SnapshotName, or leave -IncludeMemory away.", _source.Name);
        if (CheckpointMemory.MissingDisks(Context, _snapshot) is { Count: > 0 } missing)
            throw new SnapshotException(ErrorIds.MemoryNotAvailable, ErrorKind.Conflict, $"The memory of checkpoint '{_snapshot.Name}' of VM '{_source.Name}' belongs to {string.Join(", ", missing)} too, which the checkpoint does not have. Leave -IncludeMemory away.", _source.Name);
        if (!Context.HasFile(_snapshot.Memory))
            throw new SnapshotException(ErrorIds.MemoryMissing, ErrorKind.Damaged, $"The memory of checkpoint '{_snapshot.Name}' of VM '{_source.Name}' is missing: '{Context.Storage.PathOf(_snapshot.Memory)}'. Put the file back, or leave -IncludeMemory away.", _snapshot.Name);
        if (request.ProcessorCount is not null || request.MemoryBytes is not null)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, "Memory goes on only in a machine as it was: leave -ProcessorCount and -MemoryBytes away, or -IncludeMemory.", _source.Name);
    }

    private void RequireFree(string name)
    {
        if (Catalog.Machines.FindByName(name) is { } other)
            throw new SnapshotException(ErrorIds.NameExists, ErrorKind.Conflict, $"There is a {(other.IsTemplate ? "template" : "VM instance")} '{other.Name}' already. Choose another name.", name);
    }

    /// <summary>Part of the transaction that lets the clones be.</summary>
    private List<long> Insert(FirmwareCopies firmware) => _names.Select((name, i) =>
    {
        RequireFree(name);
        // With memory the guest goes on with the addresses that it knows.
        var adapters = _configuration.NetworkAdapters.Select(a => request.IncludeMemory ? a : a with { MacAddress = NetworkAddress.ValidateOrCreate(null) }).ToArray();
        long id = Catalog.Machines.Insert(Guid.CreateVersion7(), name, _configuration.ProcessorCount, _configuration.MemoryBytes, Json.Write(adapters), Json.Write(_configuration.Boot), _configuration.Description);
        for (int k = 0; k < _attachments.Count; k++)
        {
            var a = _attachments[k];
            Catalog.Machines.Attach(id, _group.Entries[i * _attachments.Count + k].VolumeId, a.Position, a.Bus, a.Boot, shared: false);
        }
        if (asTemplate) Catalog.Machines.SetTemplate(id);
        if (request.IncludeMemory) Catalog.Machines.SetMemory(id, _snapshot!.Memory);
        firmware.Commit(i, id);
        return id;
    }).ToList();
}
