using System.Globalization;
using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Repair;

/// <summary>
/// Makes the rows of a lost catalog again: from the ledger as far as there is one, else, and for what came after its last line, from
/// what the layers say of themselves. Changes nothing; where the two differ the files are right about the chain of layers.
/// </summary>
internal sealed class CatalogRebuild
{
    private readonly IStoragePlane _storage;
    private readonly IReadOnlyDictionary<string, string> _links;
    private readonly List<FoundLayer> _all;
    private readonly List<FoundLayer> _files;   // one for each layer

    public CatalogRebuild(IStoragePlane storage, Dictionary<(string Table, string Key), Dictionary<string, object?>> ledger)
    {
        _storage = storage;
        _links = storage.PublishedLinks();
        Rows = new CatalogRows(ledger);
        HasLedger = Rows["store"].Count > 0;
        var mine = storage.Survey([]).Where(f => f.Identity is not null && f.Location.StartsWith("layers/", StringComparison.Ordinal)).ToList();
        StoreId = HasLedger && Rows["store"][0].GetValueOrDefault("uid") is string uid && Guid.TryParseExact(uid, "N", out var id) ? id
            : mine.GroupBy(f => f.Identity!.Store).OrderByDescending(g => g.Count()).Select(g => g.Key).FirstOrDefault();
        if (StoreId == Guid.Empty) StoreId = Guid.CreateVersion7();
        _all = mine.FindAll(f => f.Identity!.Store == StoreId);
        _files = [.. _all.GroupBy(f => f.Identity!.Layer).OrderBy(g => g.Key).Select(g => One([.. g]))];
        if (!HasLedger) Rows.Add("store", ("uid", Text(StoreId)), ("created_at", _files.Select(f => f.Identity!.CreatedAt.UtcTicks).DefaultIfEmpty(DateTimeOffset.UtcNow.UtcTicks).Min()), ("boot_id", null));
        Rows["store"][0]["boot_id"] = null;   // all stable paths are looked at
        FollowBases();
        FollowMerges();
        AddUnknownFiles();
        Rows.DropDangling(Lost);
        Rows.PartDoubles(Lost);
    }

    public CatalogRows Rows { get; }

    public bool HasLedger { get; }

    public Guid StoreId { get; }

    /// <summary>What was in the ledger and cannot be kept.</summary>
    public List<string> Lost { get; } = [];

    /// <summary>Of the files that say they are one layer, the one to believe. A merge downwards that was killed right before its last step leaves
    /// two: the one in the place of the layer below has all of both, unless the ledger has the merge as not done.</summary>
    private FoundLayer One(List<FoundLayer> same)
    {
        var own = same.Find(f => f.Location == PlaceOf(f.Identity!.Layer));
        return (HasLedger || own?.Identity!.Parent is not { } below ? null : same.Find(f => f.Location == PlaceOf(below))) ?? own ?? same[0];
    }

    private string PlaceOf(Guid layer) => _storage.NewLayerFile(layer).Location;

    private Dictionary<string, object?>? LayerOf(Guid uid) => Rows.Find("layer", "uid", Text(uid));

    /// <summary>A merge may have been done after the ledger's last line: then the file says what lies under it.</summary>
    private void FollowBases()
    {
        foreach (var file in _files)
        {
            // Elsewhere it is not what the catalog meant by that layer, which may lie in its own place still.
            if (LayerOf(file.Identity!.Layer) is not { } row || row.GetValueOrDefault("external") is not 0L || !Equals(row.GetValueOrDefault("location"), file.Location)) continue;
            var below = BaseOf(file);
            if (below is null && file.Identity.Parent is not null && file.Backing is not null) continue;
            if (Equals(row.GetValueOrDefault("parent_id"), below?["id"])) continue;
            if (Rows.Find("layer", "id", row.GetValueOrDefault("parent_id")) is { } merged && !HasFile(merged))
            {
                if (below?["is_merging"] is 1L && Equals(merged.GetValueOrDefault("parent_id"), below["id"])) TakeOver(merged, below);
                else ForgetSnapshotsOf(merged);
            }
            row["parent_id"] = below?["id"];
            TakeFacts(row, file);
        }
    }

    /// <summary>
    /// What a file lies on: the layer that its identity names. Where that one is gone it was merged away under a running guest, whose hypervisor
    /// knows nothing of identities: then it is what the image itself names.
    /// </summary>
    private Dictionary<string, object?>? BaseOf(FoundLayer file)
    {
        if (file.Identity!.Parent is not { } parent) return null;
        var named = LayerOf(parent);
        if (named is not null && HasFile(named)) return named;
        if (file.Backing is null) return null;
        return _all.Find(f => f.Location == file.Backing) is { } below ? LayerOf(below.Identity!.Layer) : named;
    }

    /// <summary>A layer was merged down into the one below it under a running guest: that one is what it was, and has its snapshots.</summary>
    private void TakeOver(Dictionary<string, object?> merged, Dictionary<string, object?> below)
    {
        foreach (var snapshot in Rows["volume_snapshot"].Where(s => Equals(s["layer_id"], merged["id"]))) snapshot["layer_id"] = below["id"];
        below["is_merging"] = 0L;
        if (_all.Find(f => Equals(f.Location, below["location"])) is { } file) TakeFacts(below, file);
    }

    private void FollowMerges()
    {
        var at = _all.ToDictionary(f => f.Location);
        // One downwards that was killed right before its last step: the layer says that it is its child.
        foreach (var row in Rows["layer"].Where(r => r.GetValueOrDefault("external") is 0L))
        {
            if (!at.TryGetValue((string)row["location"]!, out var file) || LayerOf(file.Identity!.Layer) is not { } child || !Equals(child.GetValueOrDefault("parent_id"), row["id"])) continue;
            row["is_merging"] = 1L;
            ForgetSnapshotsOf(row);
        }
        // A layer that is gone and that nothing lies on any more was merged away.
        foreach (var row in Rows["layer"].Where(r => r.GetValueOrDefault("external") is 0L && !HasFile(r)).ToList())
            if (!Rows["layer"].Exists(r => Equals(r.GetValueOrDefault("parent_id"), row["id"])) && !IsHead(row) && Rows.Find("volume_snapshot", "layer_id", row["id"]) is null)
                Rows["layer"].Remove(row);
    }

    /// <summary>A layer is merged away when its snapshot was removed, which the ledger does not have yet.</summary>
    private void ForgetSnapshotsOf(Dictionary<string, object?> layer)
    {
        foreach (var part in Rows["volume_snapshot"].Where(s => Equals(s["layer_id"], layer["id"])).ToList())
        {
            if (Rows.Find("vm_snapshot", "id", part.GetValueOrDefault("vm_snapshot_id")) is not { } whole)
            {
                Rows.Bypass("volume_snapshot", part, "volume");
                continue;
            }
            foreach (var other in Rows["volume_snapshot"].Where(s => Equals(s.GetValueOrDefault("vm_snapshot_id"), whole["id"])).ToList()) Rows.Bypass("volume_snapshot", other, "volume");
            Rows.Bypass("vm_snapshot", whole, "vm");
        }
    }

    private void AddUnknownFiles()
    {
        var unknown = _files.FindAll(f => LayerOf(f.Identity!.Layer) is null);
        var newVolumes = unknown.Where(f => Rows.Find("volume", "uid", Text(f.Identity!.Volume)) is null).GroupBy(f => f.Identity!.Volume)
            // Where there is a ledger, a volume that it does not know was made after its last line if it has a stable path; else it was not committed.
            .Where(g => !HasLedger || g.Any(f => _links.Values.Contains(f.Location))).ToList();
        foreach (var volume in newVolumes) AddVolume([.. volume]);
        foreach (var files in unknown.Where(f => LayerOf(f.Identity!.Layer) is null).GroupBy(f => f.Identity!.Volume))
            if (Rows.Find("volume", "uid", Text(files.Key)) is { } volume) AddHeads(volume, [.. files]);
    }

    /// <summary>Of the files that came after the ledger's last line the one that the stable path leads to is its volume's head; those that it lies on
    /// were its heads before. The others were not committed, or nothing says any more what they were.</summary>
    private void AddHeads(Dictionary<string, object?> volume, List<FoundLayer> files)
    {
        var line = new Stack<FoundLayer>();
        for (var file = files.Find(f => f.Location == _links.GetValueOrDefault((string)volume["name"]!)); file is not null; file = files.Find(f => f.Identity!.Layer == file.Identity!.Parent && !line.Contains(f)))
            line.Push(file);
        if (line.TryPeek(out var lowest) && BaseOf(lowest) is not null)
        {
            var replaced = Rows.Find("layer", "id", volume["head_id"]);
            if (replaced is not null) Freeze(replaced);
            foreach (var file in line)
            {
                var below = BaseOf(file)!;
                var row = AddLayer(file, volume, line.Last() == file ? 1 : 2);
                (row["parent_id"], volume["head_id"]) = (below["id"], row["id"]);
                if (file.Identity!.Snapshot is { } snapshot) volume["present_id"] = AddSnapshot(snapshot, volume, below)["id"];
            }
            if (replaced is not null && !HasChildren(replaced)) KeepReplaced(replaced);
        }
        Lost.AddRange(files.Where(f => LayerOf(f.Identity!.Layer) is null && f.Error is null && !_storage.IsEmpty(new LayerFile(f.Identity!.Layer, f.Location, LayerFormat.Qcow2, External: false)))
            .Select(f => $"what '{f.Location}' of volume '{volume["name"]}' was, which the ledger does not have: the file goes into quarantine"));
    }

    /// <summary>A head that a restore has replaced is gone, or is that of its backup.</summary>
    private void KeepReplaced(Dictionary<string, object?> layer)
    {
        if (HasFile(layer)) KeepUnnamed([layer]);
        else if (Rows.Find("volume_snapshot", "layer_id", layer["id"]) is null) Rows["layer"].Remove(layer);
    }

    private void AddVolume(List<FoundLayer> files)
    {
        var newest = files.MaxBy(f => f.Identity!.CreatedAt)!.Identity!;
        var head = files.Find(f => _links.GetValueOrDefault(newest.VolumeName) == f.Location)
            ?? files.Where(f => !files.Exists(c => c.Identity!.Parent == f.Identity!.Layer)).MaxBy(f => f.Identity!.Layer)!;
        var volume = Rows.Add("volume", ("uid", Text(newest.Volume)), ("name", Rows.FreeName("volume", newest.VolumeName)), ("size", head.Size), ("cluster_size", (long)head.ClusterSize), ("head_id", 0L),
            ("present_id", null), ("adopted_from", null), ("description", null), ("created_at", files.Min(f => f.Identity!.CreatedAt).UtcTicks));
        foreach (var file in files) AddLayer(file, volume, file == head ? 1 : 2);
        volume["head_id"] = LayerOf(head.Identity!.Layer)!["id"];
        var unnamed = new List<Dictionary<string, object?>>();
        // Oldest first, as they were taken; of several layers over one snapshot the latest has its name and tags of last.
        foreach (var file in files.Where(f => f.Identity!.Parent is not null).OrderBy(f => f.Identity!.Snapshot?.CreatedAt).ThenBy(f => f.Identity!.CreatedAt))
        {
            var row = LayerOf(file.Identity!.Layer)!;
            var parent = BaseOf(file) ?? AddAdopted(file, volume);
            row["parent_id"] = parent?["id"];
            if (parent is null || !Equals(parent["volume_id"], volume["id"])) continue;
            // Over another layer than it was made over it says nothing of that one's snapshot.
            if ((string)parent["uid"]! != Text(file.Identity.Parent!.Value)) unnamed.Add(parent);
            else if (file.Identity.Snapshot is { } snapshot) AddSnapshot(snapshot, volume, parent);
        }
        if (head.Identity.Snapshot is { } present) volume["present_id"] = Rows.Find("volume_snapshot", "uid", Text(present.Id))?["id"];
        KeepUnnamed([.. unnamed, .. Rows["layer"].Where(l => Equals(l["volume_id"], volume["id"]) && !IsHead(l) && l["external"] is 0L && !HasChildren(l))]);
        LinkSnapshots();
    }

    /// <summary>What no snapshot is known of would be collected: the name that it had lay in the ledger only, or in a layer that was merged away.</summary>
    private void KeepUnnamed(List<Dictionary<string, object?>> layers)
    {
        foreach (var layer in layers)
        {
            if (Rows.Find("volume_snapshot", "layer_id", layer["id"]) is not null) continue;
            Rows.Add("volume_snapshot", ("uid", Text(Guid.CreateVersion7())), ("volume_id", layer["volume_id"]), ("parent_id", null), ("vm_snapshot_id", null), ("position", 0L),
                ("name", "recovered-" + ((string)layer["uid"]!)[^8..]), ("created_at", layer["created_at"]), ("description", "Found when the catalog was rebuilt; its name was lost."), ("layer_id", layer["id"]));
        }
    }

    private bool HasChildren(Dictionary<string, object?> layer) => Rows["layer"].Exists(l => Equals(l.GetValueOrDefault("parent_id"), layer["id"]));

    private bool HasFile(Dictionary<string, object?> layer) => _storage.Measure(FileOf(layer)) is not null;

    private Dictionary<string, object?> AddLayer(FoundLayer file, Dictionary<string, object?> volume, long state)
    {
        var row = Rows.Add("layer", ("uid", Text(file.Identity!.Layer)), ("volume_id", volume["id"]), ("parent_id", null), ("location", file.Location), ("format", (long)LayerFormat.Qcow2),
            ("external", 0L), ("state", state), ("size", file.Size), ("is_merging", 0L), ("created_at", file.Identity.CreatedAt.UtcTicks));
        TakeFacts(row, file);
        return row;
    }

    private Dictionary<string, object?>? AddAdopted(FoundLayer file, Dictionary<string, object?> volume)
    {
        if (file.Backing is null || !Path.IsPathRooted(file.Backing)) return null;
        volume["adopted_from"] = file.Backing;
        var adopted = new LayerFile(file.Identity!.Parent!.Value, file.Backing, file.BackingFormat, External: true);
        var facts = _storage.Measure(adopted);
        return Rows.Add("layer", ("uid", Text(adopted.Id)), ("volume_id", volume["id"]), ("parent_id", null), ("location", file.Backing), ("format", (long)file.BackingFormat),
            ("external", 1L), ("state", 2L), ("size", file.Size), ("allocated", facts?.AllocatedBytes ?? 0), ("length", facts?.Length ?? 0), ("modified_at", facts?.ModifiedAt.UtcTicks), ("is_merging", 0L), ("created_at", file.Identity.CreatedAt.UtcTicks));
    }

    private Dictionary<string, object?> AddSnapshot(SnapshotIdentity s, Dictionary<string, object?> volume, Dictionary<string, object?> layer)
    {
        if (Rows.Find("volume_snapshot", "uid", Text(s.Id)) is { } known)
        {
            known["name"] = s.Name;
            if (s.VmSnapshot is { } wholeId && Rows.Find("vm_snapshot", "uid", Text(wholeId)) is { } found)
                (found["name"], found["description"], found["tags"], found["expires_at"]) = (s.Name, s.Description, Json.Write(s.Tags.ToArray()), s.ExpiresAt?.UtcTicks);
            return known;
        }
        var whole = s.VmSnapshot is { } id && s.Vm is not null ? Rows.Find("vm_snapshot", "uid", Text(id)) ?? AddVmSnapshot(id, s) : null;
        long position = s.Vm?.Volumes.FirstOrDefault(v => Text(v.VolumeId) == (string)volume["uid"]!)?.Position ?? 0;
        return Rows.Add("volume_snapshot", ("uid", Text(s.Id)), ("volume_id", volume["id"]), ("parent_id", ParentOf("volume_snapshot", s.Parent)), ("parent", s.Parent), ("vm_snapshot_id", whole?["id"]), ("position", position),
            ("name", s.Name), ("created_at", s.CreatedAt.UtcTicks), ("description", whole is null ? s.Description : null), ("layer_id", layer["id"]));
    }

    private Dictionary<string, object?> AddVmSnapshot(Guid id, SnapshotIdentity s)
    {
        var vm = Rows.Find("vm", "uid", Text(s.Vm!.Id)) ?? AddVm(s.Vm, s.CreatedAt);
        var row = Rows.Add("vm_snapshot", ("uid", Text(id)), ("vm_id", vm["id"]), ("parent_id", ParentOf("vm_snapshot", s.VmSnapshotParent)), ("parent", s.VmSnapshotParent), ("name", s.Name), ("created_at", s.CreatedAt.UtcTicks),
            ("description", s.Description), ("tags", Json.Write(s.Tags.ToArray())), ("expires_at", s.ExpiresAt?.UtcTicks), ("scope", (long)s.Scope), ("consistency", (long)s.Consistency),
            ("is_backup", s.Name.StartsWith("backup-", StringComparison.Ordinal) ? 1L : 0L), ("memory_bytes", 0L), ("configuration", Json.Write(s.Vm)));
        if (!HasLedger || vm.ContainsKey("rebuilt")) Define(vm, s);
        else vm["present_id"] = row["id"];
        return row;
    }

    private Dictionary<string, object?> AddVm(VmConfiguration vm, DateTimeOffset time) => Rows.Add("vm", ("uid", Text(vm.Id)), ("name", Rows.FreeName("vm", vm.Name)), ("processors", 0L), ("memory", 0L), ("adapters", "[]"), ("boot", "{}"), ("generation", Text(Guid.NewGuid())),
        ("description", null), ("present_id", null), ("created_at", time.UtcTicks), ("rebuilt", 0L));

    /// <summary>The VM is as its latest snapshot has it.</summary>
    private static void Define(Dictionary<string, object?> vm, SnapshotIdentity s)
    {
        if (vm.GetValueOrDefault("rebuilt") is long time && time > s.CreatedAt.UtcTicks) return;
        (vm["rebuilt"], vm["latest"]) = (s.CreatedAt.UtcTicks, s.Vm);
        (vm["processors"], vm["memory"], vm["description"]) = ((long)s.Vm!.ProcessorCount, s.Vm.MemoryBytes, s.Vm.Description);
        (vm["adapters"], vm["boot"]) = (Json.Write(s.Vm.NetworkAdapters.ToArray()), Json.Write(s.Vm.Boot));
    }

    /// <summary>Trees, attachments and presents, as far as their ends are known by now.</summary>
    private void LinkSnapshots()
    {
        foreach (string table in new[] { "vm_snapshot", "volume_snapshot" })
            foreach (var row in Rows[table].Where(r => r.GetValueOrDefault("parent") is Guid && r["parent_id"] is null)) row["parent_id"] = ParentOf(table, (Guid)row["parent"]!);
        foreach (var vm in Rows["vm"].Where(v => v.ContainsKey("latest")))
        {
            foreach (var a in ((VmConfiguration)vm["latest"]!).Volumes)
            {
                if (Rows.Find("volume", "uid", Text(a.VolumeId)) is not { } volume) continue;
                if (Rows["attachment"].Exists(r => Equals(r["vm_id"], vm["id"]) && Equals(r["volume_id"], volume["id"]))) continue;
                Rows.Add("attachment", ("vm_id", vm["id"]), ("volume_id", volume["id"]), ("position", (long)a.Position), ("bus", (long)a.Bus), ("boot", a.Boot ? 1L : 0L), ("shared", a.Shared ? 1L : 0L));
            }
            var presents = Rows["attachment"].Where(r => Equals(r["vm_id"], vm["id"])).Select(r => Rows.Find("volume", "id", r["volume_id"])?.GetValueOrDefault("present_id"))
                .Select(p => p is null ? null : Rows.Find("volume_snapshot", "id", p)?["vm_snapshot_id"]).Where(p => p is not null).Distinct().ToList();
            vm["present_id"] = presents.Count == 1 ? presents[0] : null;
        }
    }

    private object? ParentOf(string table, Guid? uid) => uid is { } id ? Rows.Find(table, "uid", Text(id))?["id"] : null;

    private void Freeze(Dictionary<string, object?> row)
    {
        row["state"] = 2L;
        if (_storage.Measure(FileOf(row)) is not { } facts) return;
        (row["allocated"], row["length"], row["modified_at"]) = (facts.AllocatedBytes, facts.Length, facts.ModifiedAt.UtcTicks);
    }

    private void TakeFacts(Dictionary<string, object?> row, FoundLayer file)
    {
        var facts = _storage.Measure(FileOf(row));
        (row["size"], row["allocated"], row["length"], row["modified_at"]) = (file.Size, facts?.AllocatedBytes ?? 0, facts?.Length ?? 0, facts?.ModifiedAt.UtcTicks);
    }

    private bool IsHead(Dictionary<string, object?> layer) => Rows.Find("volume", "head_id", layer["id"]) is not null;

    private static LayerFile FileOf(Dictionary<string, object?> row) => new(
        Guid.ParseExact((string)row["uid"]!, "N"), (string)row["location"]!, (LayerFormat)Convert.ToInt32(row["format"], CultureInfo.InvariantCulture), row["external"] is not 0L);

    private static string Text(Guid id) => id.ToString("N");
}
