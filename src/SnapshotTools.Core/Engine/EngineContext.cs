using System.Globalization;
using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Snapshots;
using SnapshotTools.IO;

namespace SnapshotTools.Core.Engine;

/// <summary>What every command of one open store works with.</summary>
internal sealed record EngineContext(StoreFiles Paths, StoreCatalog Catalog, IStoragePlane Storage, IFileSystem Files, StoreLocks Locks, IComputePlane? Compute)
{
    /// <summary>The store's directory.</summary>
    public string Store => Paths.Directory;

    /// <summary>The same store with a connection to the catalog of its own, for another thread; disposing the catalog closes it.</summary>
    public EngineContext Fork()
    {
        var catalog = StoreCatalog.Open(Files, Paths.Catalog);
        return this with { Catalog = catalog, Ledger = new Ledger(catalog.Database, Files, Locks, Paths.Ledger) };
    }

    public Database Database => Catalog.Database;

    /// <summary>The catalog's second record.</summary>
    public Ledger Ledger { get; init; } = new(Catalog.Database, Files, Locks, Paths.Ledger);

    /// <summary>How long deleted files were not waited for to be gone for good.</summary>
    public Lag GarbageLag { get; } = new();

    /// <summary>Of the files that the catalog has forgotten, those that were deleted since then without waiting for the disk.</summary>
    public HashSet<string> DeletedInTheMeantime { get; } = [];

    /// <summary>The VM of a name or id.</summary>
    public VmRow ResolveVm(string nameOrId) => Resolve(nameOrId, "VM instance", ErrorIds.VmNotFound, "Get-VmInstance",
        id => Catalog.Machines.FindById(id), name => Catalog.Machines.FindByName(name), Catalog.Machines.All, m => (m.Name, m.Uid));

    /// <summary>The volume of a name or id.</summary>
    public VolumeRow ResolveVolume(string nameOrId) => Resolve(nameOrId, "volume", ErrorIds.VolumeNotFound, "Get-VmVolume",
        id => Catalog.Volumes.FindById(id), name => Catalog.Volumes.FindByName(name), Catalog.Volumes.All, v => (v.Name, v.Uid));

    /// <summary>The snapshot of a VM by name, id, or a pattern that only it matches.</summary>
    public VmSnapshotRow ResolveSnapshot(VmRow vm, string nameOrId)
    {
        if (!Names.IsPattern(nameOrId) && !Guid.TryParse(nameOrId, out _) && Catalog.Snapshots.FindByName(vm.Id, nameOrId) is { } row) return row;
        return One(Catalog.Snapshots.OfVm(vm.Id), nameOrId, s => (s.Name, s.Uid, s.CreatedAt), ErrorIds.SnapshotNotFound,
            $"VM '{vm.Name}' has no snapshot '{Names.Shown(nameOrId)}'. List them: Get-VmSnapshot {vm.Name}");
    }

    /// <summary>The snapshot of a volume by name, id, or a pattern that only it matches.</summary>
    public VolumeSnapshotRow ResolveSnapshot(VolumeRow volume, string nameOrId) =>
        One(Catalog.Snapshots.OfVolume(volume.Id), nameOrId, s => (s.Name, s.Uid, s.CreatedAt), ErrorIds.SnapshotNotFound,
            $"Volume '{volume.Name}' has no snapshot '{Names.Shown(nameOrId)}'. List them: Get-VolumeSnapshot {volume.Name}");

    /// <summary>What a layer is to carry of itself, as the catalog has it now.</summary>
    public LayerIdentity IdentityOf(LayerRow layer, VolumeRow volume)
    {
        var parent = layer.ParentId is { } id ? Catalog.Layers.Get(id) : null;
        var snapshot = parent is null ? null : Catalog.Snapshots.OfVolume(parent.VolumeId ?? volume.Id).FirstOrDefault(s => s.LayerId == parent.Id);
        return NewIdentity(layer.Uid, volume.Uid, volume.Name, parent?.Uid, snapshot is null ? null : IdentityOf(snapshot));
    }

    public LayerIdentity NewIdentity(Guid layer, Guid volume, string volumeName, Guid? parent, SnapshotIdentity? snapshot) => new()
    {
        Store = Catalog.StoreId,
        Volume = volume,
        VolumeName = volumeName,
        Layer = layer,
        Parent = parent,
        Snapshot = snapshot,
        CreatedAt = DateTimeOffset.UtcNow,
    };

    /// <summary>What a layer carries of the snapshot that it goes on from.</summary>
    public SnapshotIdentity IdentityOf(VolumeSnapshotRow snapshot)
    {
        var whole = snapshot.VmSnapshotId is { } id && Catalog.Snapshots.Find(id) is { } row ? IdentityOf(row)
            : new SnapshotIdentity { Id = snapshot.Uid, Name = snapshot.Name, CreatedAt = snapshot.CreatedAt, Description = snapshot.Description, Scope = SnapshotScope.All, Consistency = SnapshotConsistency.Crash };
        return IdentitiesOf([snapshot], whole)[0];
    }

    /// <summary>The same of the parts of one VM snapshot.</summary>
    /// <param name="parts">The parts.</param>
    /// <param name="whole">What they have in common.</param>
    public List<SnapshotIdentity> IdentitiesOf(List<VolumeSnapshotRow> parts, SnapshotIdentity whole)
    {
        var parents = Catalog.Snapshots.ParentsOf(parts);
        return parts.ConvertAll(p => whole with { Id = p.Uid, Parent = p.ParentId is { } parent ? parents.GetValueOrDefault(parent)?.Uid : null });
    }

    /// <summary>The part that is the same for all volumes of a VM snapshot.</summary>
    /// <param name="whole">The VM snapshot.</param>
    /// <param name="configuration">Its configuration, where that was read already.</param>
    public SnapshotIdentity IdentityOf(VmSnapshotRow whole, VmConfiguration? configuration = null) =>
        IdentityOf(whole, whole.ParentId is { } parent ? Catalog.Snapshots.Find(parent) : null, configuration ?? Json.Read<VmConfiguration>(whole.Configuration));

    /// <inheritdoc cref="IdentityOf(VmSnapshotRow, VmConfiguration?)"/>
    public static SnapshotIdentity IdentityOf(VmSnapshotRow whole, VmSnapshotRow? parent, VmConfiguration configuration) => new()
    {
        Id = Guid.Empty,
        VmSnapshot = whole.Uid,
        VmSnapshotParent = parent?.Uid,
        Name = whole.Name,
        CreatedAt = whole.CreatedAt,
        Description = whole.Description,
        Tags = SnapshotTags.Read(whole.Tags),
        ExpiresAt = whole.ExpiresAt,
        Scope = whole.Scope,
        Consistency = whole.Consistency,
        Vm = configuration,
    };

    /// <summary>A VM's configuration as it is now.</summary>
    public VmConfiguration ConfigurationOf(VmRow vm) => ConfigurationOf(vm, Catalog.Machines.Attachments(vm.Id));

    /// <inheritdoc cref="ConfigurationOf(VmRow)"/>
    public static VmConfiguration ConfigurationOf(VmRow vm, IEnumerable<AttachmentRow> attachments) => new()
    {
        Id = vm.Uid,
        Name = vm.Name,
        ProcessorCount = vm.Processors,
        MemoryBytes = vm.Memory,
        NetworkAdapters = Json.Read<VmNetworkAdapter[]>(vm.Adapters),
        Boot = Json.Read<VmBoot>(vm.Boot),
        Volumes = [.. attachments.Select(a => a.ToModel())],
        Description = vm.Description,
    };

    /// <summary>Writes down that a layer is being merged away, also in the ledger: should the catalog be lost, nobody is to take it for what its snapshot was.</summary>
    public void BeginMerge(LayerRow layer)
    {
        if (!layer.IsMerging) Database.Write(() => Catalog.Layers.SetMerging(layer.Id));
        Ledger.Save();
    }

    /// <summary>Whether a file of the store, such as saved memory, is there.</summary>
    public bool HasFile(string location) => Files.Stat(Storage.PathOf(location)) is not null;

    /// <summary>Refuses when the store has less room than an operation needs.</summary>
    public void RequireSpace(long bytes, string what)
    {
        long free = Storage.FreeBytes();
        if (free < bytes)
            throw new SnapshotException(ErrorIds.NotEnoughSpace, ErrorKind.NoSpace,
                $"{what} needs {ByteSize.Format(bytes)} of free space, but the file system of store '{Store}' has {ByteSize.Format(free)}. Free some space, for example with Remove-VmSnapshot, and try again.", Store);
    }

    private static T Resolve<T>(string nameOrId, string what, string errorId, string lister, Func<Guid, T?> byId, Func<string, T?> byName, Func<List<T>> all, Func<T, (string Name, Guid Id)> key)
        where T : class
    {
        T? found = Guid.TryParse(nameOrId, out Guid id) ? byId(id) : byName(nameOrId);
        if (found is not null) return found;
        string unknown = $"There is no {what} '{Names.Shown(nameOrId)}' in the store. List them: {lister}";
        if (!Names.IsPattern(nameOrId)) throw new SnapshotException(errorId, ErrorKind.NotFound, unknown, Names.Shown(nameOrId));
        return One(all(), nameOrId, r => (key(r).Name, key(r).Id, null), errorId, unknown);
    }

    private static T One<T>(List<T> all, string nameOrId, Func<T, (string Name, Guid Id, DateTimeOffset? CreatedAt)> key, string errorId, string unknown)
    {
        var matches = Names.Matcher([nameOrId]);
        var found = all.Where(r => matches(key(r).Name, key(r).Id)).ToList();
        return found.Count switch
        {
            1 => found[0],
            0 => throw new SnapshotException(errorId, ErrorKind.NotFound, unknown, Names.Shown(nameOrId)),
            _ => throw new SnapshotException(ErrorIds.AmbiguousName, ErrorKind.InvalidInput,
                $"'{Names.Shown(nameOrId)}' means {found.Count} things; name one of them, or give its id: {string.Join("; ", found.Take(10).Select(r => Describe(key(r))))}{(found.Count > 10 ? "; …" : "")}",
                Names.Shown(nameOrId)),
        };
    }

    private static string Describe((string Name, Guid Id, DateTimeOffset? CreatedAt) thing) => thing.CreatedAt is { } time
        ? string.Create(CultureInfo.InvariantCulture, $"{thing.Name} (of {time:yyyy-MM-dd HH:mm:ss}Z, id {thing.Id})")
        : $"{thing.Name} (id {thing.Id})";
}
