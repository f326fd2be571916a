namespace SnapshotTools.Core.Catalog;

/// <summary>Volumes.</summary>
internal sealed class VolumeTable(Database database)
{
    public VolumeRow Get(long id) => database.Single($"SELECT {VolumeRow.Columns} FROM volume v WHERE v.id = ?1", VolumeRow.Read, id)
        ?? throw new SnapshotException(ErrorIds.VolumeNotFound, ErrorKind.NotFound, "The volume was removed in the meantime.");

    /// <summary>A volume that can be seen; null when it was removed.</summary>
    public VolumeRow? Find(long id) => database.Single($"SELECT {VolumeRow.Columns} FROM volume v WHERE v.id = ?1 AND v.is_removed = 0", VolumeRow.Read, id);

    /// <summary>The volumes that some rows refer to, in their order.</summary>
    public List<VolumeRow> Of<TRow>(List<TRow> rows, Func<TRow, long> id) =>
        database.QueryFor(rows, id, $"SELECT {VolumeRow.Columns} FROM volume v WHERE v.id", VolumeRow.Read, v => v.Id, Get);

    /// <summary>A volume's name, also when it was removed; empty when nothing is left of it.</summary>
    public string NameOf(long id) => database.Text("SELECT name FROM volume WHERE id = ?1", id) ?? "";

    public VolumeRow? FindByName(string name) => database.Single($"SELECT {VolumeRow.Columns} FROM volume v WHERE v.name = ?1 AND v.is_removed = 0", VolumeRow.Read, name);

    public VolumeRow? FindById(Guid uid) => database.Single($"SELECT {VolumeRow.Columns} FROM volume v WHERE v.uid = ?1 AND v.is_removed = 0", VolumeRow.Read, uid);

    public List<VolumeRow> All() => database.Query($"SELECT {VolumeRow.Columns} FROM volume v WHERE v.is_removed = 0 ORDER BY v.name", VolumeRow.Read);

    public long Count() => database.Number("SELECT count(*) FROM volume WHERE is_removed = 0");

    /// <summary>A volume without a head: layers refer to their volume, so it gets that afterwards (<see cref="SetHead"/>).</summary>
    public long Insert(Guid uid, string name, long size, int clusterSize, string? adoptedFrom, string? description) => database.Insert(
        "INSERT INTO volume(uid, name, size, cluster_size, head_id, adopted_from, description, created_at) VALUES(?1, ?2, ?3, ?4, 0, ?5, ?6, ?7)",
        uid, name, size, clusterSize, adoptedFrom, description, DateTimeOffset.UtcNow);

    /// <summary>Those that were removed, and whose layers linked clones still need.</summary>
    public List<long> Removed() => database.Query("SELECT id FROM volume WHERE is_removed = 1", r => r.GetInt64(0));

    /// <summary>Takes a volume out of sight; its name is free.</summary>
    public void SetRemoved(long id) => database.Execute("UPDATE volume SET is_removed = 1, name = name || ' (removed, ' || uid || ')', present_id = NULL WHERE id = ?1", id);

    /// <summary>The volume goes on with another head, and has its size; where a snapshot is named, it descends from that.</summary>
    public void SetHead(long id, long headId, long size, long? presentId = null) =>
        database.Execute("UPDATE volume SET head_id = ?2, size = ?3, present_id = coalesce(?4, present_id) WHERE id = ?1", id, headId, size, presentId);

    public void SetSize(long id, long size) => database.Execute("UPDATE volume SET size = ?2 WHERE id = ?1", id, size);

    public void Delete(long id) => database.Execute("DELETE FROM volume WHERE id = ?1", id);

    /// <summary>Names of the linked clones that lie on a volume's layers. In place of a clone that was removed there are those that lie on it.</summary>
    public List<string> LinkedClonesOf(long id) => database.Query(LinkedClonesWhere("l.volume_id = ?1", "v.name"), r => r.GetString(0), id);

    /// <summary>The same of one layer.</summary>
    public List<string> LinkedClonesOn(long layerId) => database.Query(LinkedClonesWhere("l.id = ?1", "v.name"), r => r.GetString(0), layerId);

    /// <summary>The same of the layers that some rows refer to.</summary>
    public List<LinkedClone> LinkedClonesOn<TRow>(List<TRow> rows, Func<TRow, long> layerId) =>
        database.Query(LinkedClonesWhere("l.id IN (SELECT value FROM json_each(?1))", "d.layer_id, v.name"), LinkedClone.Read, Database.Numbers(rows, layerId));

    /// <summary>The same of all layers at once, for lists.</summary>
    public List<LinkedClone> LinkedClones() => database.Query(LinkedClonesWhere("true", "d.layer_id, v.name"), LinkedClone.Read);

    /// <summary>Whether another volume lies on a volume's layers, be it one that was removed.</summary>
    public bool IsBaseOfOthers(long id) => database.Number(
        "SELECT EXISTS(SELECT 1 FROM layer l JOIN layer c ON c.parent_id = l.id WHERE l.volume_id = ?1 AND c.volume_id <> l.volume_id)", id) != 0;

    // A cross join, or SQLite goes through all volumes by their names to have them in order.
    private static string LinkedClonesWhere(string condition, string columns) =>
        $"""
        WITH RECURSIVE dependant(layer_id, volume_id) AS (
          SELECT l.id, c.volume_id FROM layer l JOIN layer c ON c.parent_id = l.id WHERE {condition} AND c.volume_id <> l.volume_id
          UNION
          SELECT d.layer_id, c.volume_id FROM dependant d JOIN volume v ON v.id = d.volume_id AND v.is_removed = 1
          JOIN layer l ON l.volume_id = v.id JOIN layer c ON c.parent_id = l.id WHERE c.volume_id <> l.volume_id)
        SELECT DISTINCT {columns} FROM dependant d CROSS JOIN volume v ON v.id = d.volume_id WHERE v.is_removed = 0 ORDER BY v.name
        """;

    public List<(long VolumeId, string Vm)> Attachments() =>
        database.Query("SELECT a.volume_id, m.name FROM attachment a JOIN vm m ON m.id = a.vm_id ORDER BY m.name", r => (r.GetInt64(0), r.GetString(1)));

    public List<string> AttachedTo(long id) =>
        database.Query("SELECT m.name FROM attachment a JOIN vm m ON m.id = a.vm_id WHERE a.volume_id = ?1 ORDER BY m.name", r => r.GetString(0), id);
}
