using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine;
using SnapshotTools.Core.Engine.Clones;
using SnapshotTools.Core.Engine.Snapshots;

namespace SnapshotTools.Core;

/// <summary>VM snapshots of a store.</summary>
public sealed class SnapshotService
{
    private readonly EngineContext _context;

    internal SnapshotService(EngineContext context) => _context = context;

    /// <summary>The snapshots that meet all conditions, by VM and in the order in which they were taken.</summary>
    public IReadOnlyList<VmSnapshot> Find(SnapshotQuery query) => _context.Database.Read<IReadOnlyList<VmSnapshot>>(() =>
    {
        ArgumentNullException.ThrowIfNull(query);
        var isVm = Names.Matcher(query.Vms);
        var isName = Names.Matcher(query.Names);
        var isTag = query.Tags.Select(t => Names.Matcher([t])).ToList();
        var source = new SnapshotSource(_context, OneVm(query));
        var result = new List<VmSnapshot>();
        VmRow? vm = null;
        bool isWanted = false;
        VmSnapshotRow? latest = null;
        // Loops and no LINQ over numbers and structs, here and below: nobody compiles that ahead, and this is what a session asks first.
        foreach (var row in source.Rows)
        {
            if (vm?.Id != row.VmId)
            {
                AddLatest();
                vm = source.Vms[row.VmId];
                isWanted = isVm(vm.Name, vm.Uid);
            }
            if (!isWanted || !IsFound(row)) continue;
            if (!query.Latest) result.Add(source.ToModel(row));
            else if (latest is null || row.CreatedAt >= latest.CreatedAt) latest = row;
        }
        AddLatest();
        return result;

        bool IsFound(VmSnapshotRow row) => isName(row.Name, row.Uid)
            && (query.Before is null || row.CreatedAt < query.Before) && (query.After is null || row.CreatedAt >= query.After)
            && (query.ExpiredAt is null || row.ExpiresAt <= query.ExpiredAt)
            && isTag.TrueForAll(isWanted => source.TagsOf(row).Any(t => isWanted(t, Guid.Empty)));

        void AddLatest()
        {
            if (latest is not null) result.Add(source.ToModel(latest));
            latest = null;
        }
    });

    /// <summary>A VM's snapshot by name, by id, or by a pattern that only it matches.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.VmNotFound"/>, <see cref="ErrorIds.SnapshotNotFound"/> or <see cref="ErrorIds.AmbiguousName"/>.</exception>
    public VmSnapshot Get(string vm, string nameOrId) => _context.Database.Read(() => _context.ToModel(_context.ResolveSnapshot(_context.ResolveVm(vm), nameOrId)));

    /// <summary>Every tag that is in use.</summary>
    public IReadOnlyList<string> GetTags() => _context.Catalog.Snapshots.AllTags();

    /// <summary>Takes a snapshot.</summary>
    public PlannedOperation<VmSnapshot> Create(NewSnapshotRequest request) => new CreateVmSnapshot(_context, request).Prepare();

    /// <summary>Restores a VM to a snapshot, or ends a restore that failed.</summary>
    public PlannedOperation<VmInstance> Restore(RestoreRequest request) => new RestoreVmSnapshot(_context, request).Prepare();

    /// <summary>Removes snapshots; gives back what they were.</summary>
    public PlannedOperation<IReadOnlyList<VmSnapshot>> Remove(RemoveSnapshotRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        var removal = new RemoveVmSnapshot(_context, request).Prepare();
        if (request.Dependants != DependantAction.Flatten) return removal;
        var clones = _context.Database.Read(() => RemoveVmSnapshot.Doomed(_context, request).SelectMany(s => _context.Catalog.Snapshots.OfVmSnapshot(s.Id))
            .SelectMany(p => _context.Catalog.Volumes.LinkedClonesOn(p.LayerId)).Distinct().ToList());
        return FlattenVolumes.Before(_context, clones, removal, () => new RemoveVmSnapshot(_context, request with { Dependants = DependantAction.Refuse }).Prepare());
    }

    /// <summary>Renames a snapshot.</summary>
    public PlannedOperation<VmSnapshot> Rename(string vm, string snapshot, string newName) => new ChangeVmSnapshot(_context, vm, snapshot, newName, new SnapshotChanges()).Prepare();

    /// <summary>Changes a snapshot's description, tags and expiry.</summary>
    public PlannedOperation<VmSnapshot> Set(string vm, string snapshot, SnapshotChanges changes) => new ChangeVmSnapshot(_context, vm, snapshot, null, changes).Prepare();

    /// <summary>The VM that a query is about when it names just one, so that a large store need not be read for it.</summary>
    private VmRow? OneVm(SnapshotQuery query) =>
        query.Vms is [var name] && !Names.IsPattern(name) ? Guid.TryParse(name, out Guid id) ? _context.Catalog.Machines.FindById(id) : _context.Catalog.Machines.FindByName(name) : null;

    /// <summary>Snapshots of one VM or of all, with all that their models need, read in a few queries.</summary>
    private sealed class SnapshotSource
    {
        private readonly EngineContext _context;
        private readonly Dictionary<long, VmSnapshotRow> _byId;
        private readonly List<ListedPart> _parts;
        private readonly Dictionary<long, int> _partsById;
        private readonly Dictionary<long, int> _firstParts;
        private readonly int[] _nextParts;
        private readonly Dictionary<long, VolumeRow> _volumes;
        private readonly Dictionary<long, List<string>>? _clones;
        private readonly Dictionary<string, string[]> _tags = [];

        public SnapshotSource(EngineContext context, VmRow? only)
        {
            _context = context;
            var catalog = _context.Catalog;
            Rows = catalog.Snapshots.List(only?.Id);
            Vms = [];
            foreach (var vm in only is null ? catalog.Machines.All() : [only]) Vms[vm.Id] = vm;
            _byId = new Dictionary<long, VmSnapshotRow>(Rows.Count);
            foreach (var row in Rows) _byId[row.Id] = row;
            _parts = catalog.Snapshots.Parts(only?.Id);
            _partsById = new Dictionary<long, int>(_parts.Count);
            // The parts of a snapshot hang together by their places: a list of 20,000 snapshots needs no 20,000 lists.
            _firstParts = new Dictionary<long, int>(Rows.Count);
            _nextParts = new int[_parts.Count];
            for (int i = _parts.Count - 1; i >= 0; i--)
            {
                _partsById[_parts[i].Row.Id] = i;
                if (_parts[i].Row.VmSnapshotId is not { } whole) continue;
                _nextParts[i] = FirstPart(whole);
                _firstParts[whole] = i;
            }
            _volumes = [];
            if (only is null)
                foreach (var volume in catalog.Volumes.All()) _volumes[volume.Id] = volume;
            _clones = only is null ? [] : null;
            if (_clones is null) return;
            foreach (var clone in catalog.Volumes.LinkedClones())
            {
                if (!_clones.TryGetValue(clone.LayerId, out var names)) _clones[clone.LayerId] = names = [];
                names.Add(clone.Name);
            }
        }

        /// <summary>By VM, and in the order in which they were taken.</summary>
        public List<VmSnapshotRow> Rows { get; }

        public Dictionary<long, VmRow> Vms { get; }

        public VmSnapshot ToModel(VmSnapshotRow row) =>
            _context.ToModel(row, Vms[row.VmId], row.ParentId is { } id && _byId.TryGetValue(id, out var parent) ? parent : null, PartsOf(row), TagsOf(row));

        private VolumeSnapshot[] PartsOf(VmSnapshotRow row)
        {
            int count = 0;
            for (int i = FirstPart(row.Id); i >= 0; i = _nextParts[i]) count++;
            var parts = new VolumeSnapshot[count];
            var positions = count > 1 ? new int[count] : [];
            count = 0;
            for (int i = FirstPart(row.Id); i >= 0; i = _nextParts[i])
            {
                var part = _parts[i];
                if (positions.Length > 0) positions[count] = part.Row.Position;
                parts[count++] = _context.ToModel(part, VolumeOf(part), ParentOf(part.Row), row.Uid, ClonesOn(part.Row.LayerId));
            }
            if (positions.Length > 0) Array.Sort(positions, parts);
            return parts;
        }

        private int FirstPart(long snapshotId) => _firstParts.TryGetValue(snapshotId, out int first) ? first : -1;

        private VolumeRow VolumeOf(ListedPart part) =>
            _volumes.TryGetValue(part.Row.VolumeId, out var volume) ? volume : _volumes[part.Row.VolumeId] = _context.Catalog.Volumes.Get(part.Row.VolumeId);

        private List<string> ClonesOn(long layerId) =>
            _clones is null ? _context.Catalog.Volumes.LinkedClonesOn(layerId) : _clones.TryGetValue(layerId, out var names) ? names : [];

        /// <summary>Most snapshots have the same few tags.</summary>
        public string[] TagsOf(VmSnapshotRow row) => _tags.TryGetValue(row.Tags, out string[]? tags) ? tags : _tags[row.Tags] = SnapshotTags.Read(row.Tags);

        private Guid? ParentOf(VolumeSnapshotRow part) =>
            part.ParentId is not { } id ? null : _partsById.TryGetValue(id, out int parent) ? _parts[parent].Row.Uid : _context.Catalog.Snapshots.FindVolumeSnapshot(id)?.Uid;
    }
}
