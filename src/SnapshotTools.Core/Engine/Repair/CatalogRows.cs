using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Repair;

/// <summary>The rows of a catalog that is being rebuilt: those of the ledger, with what the files say added.</summary>
internal sealed class CatalogRows
{
    private readonly Dictionary<string, List<Dictionary<string, object?>>> _tables = LedgerTables.All.ToDictionary(t => t.Name, _ => new List<Dictionary<string, object?>>());

    public CatalogRows(IEnumerable<KeyValuePair<(string Table, string Key), Dictionary<string, object?>>> ledger)
    {
        foreach (var (key, values) in ledger)
            if (_tables.TryGetValue(key.Table, out var rows)) rows.Add(values);
    }

    public List<Dictionary<string, object?>> this[string table] => _tables[table];

    public Dictionary<string, object?>? Find(string table, string column, object? value) => _tables[table].Find(r => Equals(r.GetValueOrDefault(column), value));

    /// <summary>Adds a row with the next free number.</summary>
    public Dictionary<string, object?> Add(string table, params (string Column, object? Value)[] values)
    {
        var row = values.ToDictionary(v => v.Column, v => v.Value);
        if (table != "attachment") row["id"] = table == "store" ? 1L : _tables[table].Select(Id).DefaultIfEmpty().Max() + 1;
        _tables[table].Add(row);
        return row;
    }

    public static long Id(Dictionary<string, object?> row) => row.GetValueOrDefault("id") is long id ? id : 0;

    /// <summary>A name that no row of a table has yet.</summary>
    public string FreeName(string table, string wanted)
    {
        string name = wanted;
        for (int n = 2; _tables[table].Exists(r => string.Equals(r.GetValueOrDefault("name") as string, name, StringComparison.OrdinalIgnoreCase)); n++) name = FormattableString.Invariant($"{wanted}-{n}");
        return name;
    }

    /// <summary>Takes a snapshot out of its tree: its children, and what was at it, are at its parent from then on.</summary>
    /// <param name="table">The table of the snapshot.</param>
    /// <param name="snapshot">The snapshot.</param>
    /// <param name="owners">The table whose rows have a present snapshot.</param>
    public void Bypass(string table, Dictionary<string, object?> snapshot, string owners)
    {
        _tables[table].Remove(snapshot);
        object? parent = snapshot.GetValueOrDefault("parent_id");
        foreach (var child in _tables[table].Where(s => Equals(s.GetValueOrDefault("parent_id"), snapshot["id"]))) child["parent_id"] = parent;
        foreach (var owner in _tables[owners].Where(o => Equals(o.GetValueOrDefault("present_id"), snapshot["id"]))) owner["present_id"] = parent;
    }

    /// <summary>Leaves out what refers to rows that there are not; what it was is told.</summary>
    public void DropDangling(List<string> told)
    {
        Drop("layer", r => Has("volume", r, "volume_id"), r => $"the layer '{r.GetValueOrDefault("location")}', whose volume is not known", told);
        Drop("volume", r => r.GetValueOrDefault("is_removed") is 1L || Has("layer", r, "head_id"), r => $"volume '{r.GetValueOrDefault("name")}', which has no layer any more", told);
        Drop("layer", r => Has("volume", r, "volume_id"), r => $"the layer '{r.GetValueOrDefault("location")}', whose volume is not known", told);
        foreach (var layer in this["layer"])
            if (layer.GetValueOrDefault("parent_id") is not null && !Has("layer", layer, "parent_id")) layer["parent_id"] = null;
        Drop("attachment", r => Has("vm", r, "vm_id") && Has("volume", r, "volume_id"), _ => null, told);
        Drop("vm_snapshot", r => Has("vm", r, "vm_id"), r => $"VM snapshot '{r.GetValueOrDefault("name")}', whose VM is not known", told);
        Drop("volume_snapshot", r => Has("volume", r, "volume_id") && Has("layer", r, "layer_id"), r => $"volume snapshot '{r.GetValueOrDefault("name")}', whose layer is gone", told);
        Drop("firmware", r => Has("vm", r, "vm_id") || Has("vm_snapshot", r, "vm_snapshot_id"), _ => null, told);
        Drop("connected", r => Has("vm", r, "vm_id"), _ => null, told);
    }

    /// <summary>Of rows that cannot be there together, of which a damaged line of the ledger leaves several, the latest is as it says. Another gets a name of its own, which is told.</summary>
    public void PartDoubles(List<string> told)
    {
        foreach (var (table, what) in new[] { ("vm", "VM"), ("volume", "volume"), ("vm_snapshot", "VM snapshot") })
            foreach (var row in _tables[table].GroupBy(r => (r.GetValueOrDefault("vm_id"), Folded((string)r["name"]!))).SelectMany(g => g.OrderByDescending(Id).Skip(1)).ToList())
            {
                string name = (string)row["name"]!;
                row["name"] = FreeName(table, name);
                told.Add($"the name of {what} '{name}', of which the ledger has two: the older one is '{row["name"]}' now, and may have been removed or renamed");
            }
        foreach (string owner in new[] { "vm_id", "vm_snapshot_id" })
            foreach (var row in _tables["firmware"].Where(r => r.GetValueOrDefault(owner) is not null).GroupBy(r => r[owner]).SelectMany(g => g.SkipLast(1)).ToList()) _tables["firmware"].Remove(row);
    }

    /// <summary>A name as the catalog compares it: only the letters of ASCII are the same large and small (NOCASE).</summary>
    private static string Folded(string name) => string.Concat(name.Select(c => char.IsAsciiLetterUpper(c) ? char.ToLowerInvariant(c) : c));

    private bool Has(string table, Dictionary<string, object?> row, string column) => Find(table, "id", row.GetValueOrDefault(column)) is not null;

    private void Drop(string table, Func<Dictionary<string, object?>, bool> keep, Func<Dictionary<string, object?>, string?> what, List<string> told)
    {
        foreach (var row in _tables[table].Where(r => !keep(r)).ToList())
        {
            _tables[table].Remove(row);
            if (what(row) is { } text) told.Add(text);
        }
    }
}
