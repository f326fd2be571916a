namespace SnapshotTools.Core.Catalog;

/// <summary>Volumes.</summary>
internal sealed class VolumeTable(Database database)
{
    public VolumeRow Get(long id) => database.Single($"SELECT {VolumeRow.Columns} FROM volume v WHERE v.id = ?1", VolumeRow.Read, id)
        ?? throw new SnapshotException(ErrorIds.VolumeNotFound, ErrorKind.NotFound, "The volume was removed in the meantime.");

    public VolumeRow? FindByName(string name) => database.Single($"SELECT {VolumeRow.Columns} FROM volume v WHERE v.name = ?1 AND v.is_removed = 0", VolumeRow.Read, name);

    public VolumeRow? FindById(Guid uid) => database.Single($"SELECT {VolumeRow.Columns} FROM volume v WHERE v.uid = ?1 AND v.is_removed = 0", VolumeRow.Read, uid);

    public List<VolumeRow> All() => database.Query($"SELECT {VolumeRow.Columns} FROM volume v WHERE v.is_removed = 0 ORDER BY v.name", VolumeRow.Read);

    public long Count() => database.Scalar<long>("SELECT count(*) FROM volume WHERE is_removed = 0");

    public long Insert(Guid uid, string name, long size, int clusterSize, long headId, string? adoptedFrom, string? description) => database.Insert(
        "INSERT INTO volume(uid, name, size, cluster_size, head_id, adopted_from, description, created_at) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        uid, name, size, clusterSize, headId, adoptedFrom, description, DateTimeOffset.UtcNow);

    /// <summary>Those that were removed, and whose layers linked clones still need.</summary>
    public List<long> Removed() => database.Query("SELECT id FROM volume WHERE is_removed = 1", r => r.GetInt64(0));

    /// <summary>Takes a volume out of sight; its name is free.</summary>
    public void SetRemoved(long id) => database.Execute("UPDATE volume SET is_removed = 1, name = name || ' (removed, ' || uid || ')', present_id = NULL WHERE id = ?1", id);

    public void SetHead(long id, long headId) => database.Execute("UPDATE volume SET head_id = ?2 WHERE id = ?1", id, headId);

    public void SetPresent(long id, long? snapshotId) => database.Execute("UPDATE volume SET present_id = ?2 WHERE id = ?1", id, snapshotId);

    public void SetSize(long id, long size) => database.Execute("UPDATE volume SET size = ?2 WHERE id = ?1", id, size);

    public void Delete(long id) => database.Execute("DELETE FROM volume WHERE id = ?1", id);

    /// <summary>Names of the volumes that have a layer directly on one of a volume's.</summary>
    public List<string> LinkedClonesOf(long id) => database.Query(
        """
        SELECT DISTINCT v.name FROM layer l JOIN layer c ON c.parent_id = l.id JOIN volume v ON v.id = c.volume_id
        WHERE l.volume_id = ?1 AND c.state <> 0 AND c.volume_id <> l.volume_id ORDER BY v.name
        """, r => r.GetString(0), id);

    /// <summary>Names of the volumes that have a layer directly on a layer of another.</summary>
    public List<string> LinkedClonesOn(long layerId) => database.Query(
        """
        SELECT DISTINCT v.name FROM layer l JOIN layer c ON c.parent_id = l.id JOIN volume v ON v.id = c.volume_id
        WHERE l.id = ?1 AND c.state <> 0 AND c.volume_id <> l.volume_id ORDER BY v.name
        """, r => r.GetString(0), layerId);

    /// <summary>The same of all layers at once, for lists.</summary>
    public List<(long LayerId, string Name)> LinkedClones() => database.Query(
        """
        SELECT DISTINCT l.id, v.name FROM layer l JOIN layer c ON c.parent_id = l.id JOIN volume v ON v.id = c.volume_id
        WHERE c.state <> 0 AND c.volume_id <> l.volume_id ORDER BY v.name
        """, r => (r.GetInt64(0), r.GetString(1)));

    public List<(long VolumeId, string Vm)> Attachments() =>
        database.Query("SELECT a.volume_id, m.name FROM attachment a JOIN vm m ON m.id = a.vm_id ORDER BY m.name", r => (r.GetInt64(0), r.GetString(1)));

    public List<string> AttachedTo(long id) =>
        database.Query("SELECT m.name FROM attachment a JOIN vm m ON m.id = a.vm_id WHERE a.volume_id = ?1 ORDER BY m.name", r => r.GetString(0), id);
}
