using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine;
using SnapshotTools.Core.Engine.Clones;
using SnapshotTools.Core.Engine.Machines;

namespace SnapshotTools.Core;

/// <summary>Templates of a store: VMs that are neither run nor changed, to make VMs of.</summary>
public sealed class TemplateService
{
    private readonly EngineContext _context;

    internal TemplateService(EngineContext context) => _context = context;

    /// <summary>The templates that match any of the patterns (names with wildcards, or ids); all without patterns.</summary>
    public IReadOnlyList<VmTemplate> Find(params IReadOnlyList<string> patterns) => _context.Database.Read<IReadOnlyList<VmTemplate>>(() =>
    {
        ArgumentNullException.ThrowIfNull(patterns);
        var matches = Names.Matcher(patterns);
        return [.. _context.Catalog.Machines.All().Where(m => m.IsTemplate && matches(m.Name, m.Uid)).Select(ToModel)];
    });

    /// <summary>The template of a name or id.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.TemplateNotFound"/>.</exception>
    public VmTemplate Get(string nameOrId) => _context.Database.Read(() => ToModel(Resolve(nameOrId)));

    /// <summary>Makes a template of a VM or of a snapshot of it. Memory is never part of it.</summary>
    public PlannedOperation<TemplateResult> Create(VmCloneRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        var made = new CloneVm(_context, request with { Count = 1, IncludeMemory = false }, asTemplate: true).Prepare();
        return new PlannedOperation<TemplateResult>(made.Plan, (_, options) =>
        {
            var result = made.Run(options);
            return new TemplateResult(Get(result.Vms[0].Id.ToString()), result.Clones);
        });
    }

    /// <summary>Makes VMs of a template, as linked clones if the request says so.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.TemplateNotFound"/> and those of a clone.</exception>
    public PlannedOperation<VmCloneResult> Instantiate(VmCloneRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        var template = _context.Database.Read(() => Resolve(request.Source));
        return new CloneVm(_context, request with { Source = template.Uid.ToString() }).Prepare();
    }

    /// <summary>Removes a template with its volumes; gives back what it was.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.HasDependants"/>: linked clones need it.</exception>
    public PlannedOperation<VmTemplate> Remove(string nameOrId, DependantAction dependants = DependantAction.Refuse)
    {
        var (row, model) = _context.Database.Read(() =>
        {
            var found = Resolve(nameOrId);
            return (found, ToModel(found));
        });
        PlannedOperation<VmInstance> Removal(DependantAction action) => new RemoveVm(_context, row.Uid.ToString(), removeVolumes: true, removeSnapshots: true, isTemplate: true, action).Prepare();
        var removal = Removal(dependants);
        if (dependants == DependantAction.Flatten) removal = FlattenVolumes.Before(_context, model.LinkedClones, removal, () => Removal(DependantAction.Refuse));
        return new PlannedOperation<VmTemplate>(removal.Plan, (_, options) =>
        {
            removal.Run(options);
            return model;
        });
    }

    private VmRow Resolve(string nameOrId)
    {
        var row = Guid.TryParse(nameOrId, out Guid id) ? _context.Catalog.Machines.FindById(id) : _context.Catalog.Machines.FindByName(nameOrId);
        if (row is { IsTemplate: true }) return row;
        throw new SnapshotException(ErrorIds.TemplateNotFound, ErrorKind.NotFound, row is null
            ? $"There is no template '{Names.Shown(nameOrId)}' in the store. List them: Get-VmTemplate"
            : $"'{row.Name}' is a VM, not a template. Make one of it: New-VmTemplate {row.Name} <name>", Names.Shown(nameOrId));
    }

    private VmTemplate ToModel(VmRow row) => new()
    {
        Id = row.Uid,
        Name = row.Name,
        Store = _context.Store,
        ProcessorCount = row.Processors,
        MemoryBytes = row.Memory,
        Volumes = [.. _context.Catalog.Machines.Attachments(row.Id).Select(a => a.ToModel())],
        NetworkAdapters = Json.Read<VmNetworkAdapter[]>(row.Adapters),
        Boot = Json.Read<VmBoot>(row.Boot),
        Description = row.Description,
        LinkedClones = [.. _context.Catalog.Machines.Attachments(row.Id).SelectMany(a => _context.Catalog.Volumes.LinkedClonesOf(a.VolumeId)).Distinct()],
        CreatedAt = row.CreatedAt,
    };
}
