using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine;
using SnapshotTools.Core.Engine.Snapshots;

namespace SnapshotTools.Core;

/// <summary>Snapshots of one VM or of all, with all that their models need, read in a few queries.</summary>
/// <remarks>Loops and no LINQ over numbers and structs: nobody compiles that ahead, and a list is what a session asks for first.</remarks>
internal sealed class SnapshotSource
{
    private readonly EngineContext _context;
    private readonly Dictionary<long, VmRow> _vms = [];
    private readonly List<VmSnapshotRow> _rows;
    private readonly Dictionary<long, VmSnapshotRow> _byId;
    private readonly List<ListedPart> _parts;
    private readonly Dictionary<long, int> _partsById;
    private readonly Dictionary<long, int> _firstParts;
    private readonly int[] _nextParts;
    private readonly Dictionary<long, VolumeSnapshotRow> _otherParents;
    private readonly Dictionary<long, VolumeRow> _volumes = [];
    private readonly Dictionary<long, List<string>> _clones = [];
    private readonly Dictionary<string, string[]> _tags = [];

    /// <summary>Reads them; part of a transaction.</summary>
    /// <param name="context">The store.</param>
    /// <param name="only">The one VM, so that a large store need not be read for it.</param>
    public SnapshotSource(EngineContext context, VmRow? only)
    {
        _context = context;
        var catalog = context.Catalog;
        _rows = catalog.Snapshots.List(only?.Id);
        foreach (var vm in only is null ? catalog.Machines.All() : [only]) _vms[vm.Id] = vm;
        _byId = new Dictionary<long, VmSnapshotRow>(_rows.Count);
        foreach (var row in _rows)
        {
            _byId[row.Id] = row;
            if (!_tags.ContainsKey(row.Tags)) _tags[row.Tags] = SnapshotTags.Read(row.Tags);   // most have the same few
        }
        _parts = catalog.Snapshots.Parts(only?.Id);
        _partsById = new Dictionary<long, int>(_parts.Count);
        // The parts of a snapshot hang together by their places: a list of 20,000 snapshots needs no 20,000 lists.
        _firstParts = new Dictionary<long, int>(_rows.Count);
        _nextParts = new int[_parts.Count];
        for (int i = _parts.Count - 1; i >= 0; i--)
        {
            _partsById[_parts[i].Row.Id] = i;
            if (_parts[i].Row.VmSnapshotId is not { } whole) continue;
            _nextParts[i] = FirstPart(whole);
            _firstParts[whole] = i;
        }
        _otherParents = catalog.Snapshots.ParentsOf(_parts.FindAll(p => p.Row.ParentId is { } id && !_partsById.ContainsKey(id)).ConvertAll(p => p.Row));
        if (only is null)
            foreach (var volume in catalog.Volumes.All()) _volumes[volume.Id] = volume;
        foreach (var part in _parts)
            if (!_volumes.ContainsKey(part.Row.VolumeId)) _volumes[part.Row.VolumeId] = catalog.Volumes.Get(part.Row.VolumeId);
        foreach (var clone in only is null ? catalog.Volumes.LinkedClones() : catalog.Volumes.LinkedClonesOn(_parts, p => p.Row.LayerId))
        {
            if (!_clones.TryGetValue(clone.LayerId, out var names)) _clones[clone.LayerId] = names = [];
            names.Add(clone.Name);
        }
    }

    /// <summary>Those that meet all conditions, by VM and in the order in which they were taken. Each is made when it is asked for: what a pipeline has
    /// let go of need not be kept, which is a third of what a long list costs. Nothing is read for it.</summary>
    public IEnumerable<VmSnapshot> Choose(SnapshotQuery query)
    {
        var isVm = Names.Matcher(query.Vms);
        var isName = Names.Matcher(query.Names);
        var isTag = query.Tags.Select(t => Names.Matcher([t])).ToList();
        return Made();

        IEnumerable<VmSnapshot> Made()
        {
            VmRow? vm = null;
            bool isWanted = false;
            VmSnapshotRow? latest = null;
            foreach (var row in _rows)
            {
                if (vm?.Id != row.VmId)
                {
                    if (latest is not null) yield return ToModel(latest);
                    latest = null;
                    vm = _vms[row.VmId];
                    isWanted = isVm(vm.Name, vm.Uid);
                }
                if (!isWanted || !IsFound(row)) continue;
                if (!query.Latest) yield return ToModel(row);
                else if (latest is null || row.CreatedAt >= latest.CreatedAt) latest = row;
            }
            if (latest is not null) yield return ToModel(latest);
        }

        bool IsFound(VmSnapshotRow row) => isName(row.Name, row.Uid)
            && (query.Before is null || row.CreatedAt < query.Before) && (query.After is null || row.CreatedAt >= query.After)
            && (query.ExpiredAt is null || row.ExpiresAt <= query.ExpiredAt)
            && isTag.TrueForAll(isWanted => _tags[row.Tags].Any(t => isWanted(t, Guid.Empty)));
    }

    private VmSnapshot ToModel(VmSnapshotRow row) =>
        _context.ToModel(row, _vms[row.VmId], row.ParentId is { } id && _byId.TryGetValue(id, out var parent) ? parent : null, PartsOf(row), _tags[row.Tags]);

    private VolumeSnapshot[] PartsOf(VmSnapshotRow row)
    {
        int count = 0;
        for (int i = FirstPart(row.Id); i >= 0; i = _nextParts[i]) count++;
        var parts = new VolumeSnapshot[count];
        int[] positions = count > 1 ? new int[count] : [];
        count = 0;
        for (int i = FirstPart(row.Id); i >= 0; i = _nextParts[i])
        {
            var part = _parts[i];
            if (positions.Length > 0) positions[count] = part.Row.Position;
            parts[count++] = _context.ToModel(part, _volumes[part.Row.VolumeId], ParentOf(part.Row), row.Uid, ClonesOn(part.Row.LayerId));
        }
        if (positions.Length > 0) Array.Sort(positions, parts);
        return parts;
    }

    private int FirstPart(long snapshotId) => _firstParts.TryGetValue(snapshotId, out int first) ? first : -1;

    private Guid? ParentOf(VolumeSnapshotRow part) =>
        part.ParentId is not { } id ? null : _partsById.TryGetValue(id, out int parent) ? _parts[parent].Row.Uid : _otherParents.GetValueOrDefault(id)?.Uid;

    private IReadOnlyList<string> ClonesOn(long layerId) => _clones.TryGetValue(layerId, out var names) ? names : Array.Empty<string>();
}
