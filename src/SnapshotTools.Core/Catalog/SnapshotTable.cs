namespace SnapshotTools.Core.Catalog;

/// <summary>VM snapshots and volume snapshots, each a tree.</summary>
internal sealed class SnapshotTable(Database database)
{
    public VmSnapshotRow Get(long id) => Find(id)
        ?? throw new SnapshotException(ErrorIds.SnapshotNotFound, ErrorKind.NotFound, "The snapshot was removed in the meantime.");

    public VmSnapshotRow? Find(long id) => database.Single($"SELECT {VmSnapshotRow.Columns} FROM vm_snapshot s WHERE s.id = ?1", VmSnapshotRow.Read, id);

    public VmSnapshotRow? FindByName(long vmId, string name) =>
        database.Single($"SELECT {VmSnapshotRow.Columns} FROM vm_snapshot s WHERE s.vm_id = ?1 AND s.name = ?2", VmSnapshotRow.Read, vmId, name);

    /// <summary>The snapshot of a VM that a memory file belongs to.</summary>
    public VmSnapshotRow? FindByMemory(long vmId, string location) =>
        database.Single($"SELECT {VmSnapshotRow.Columns} FROM vm_snapshot s WHERE s.vm_id = ?1 AND s.memory = ?2", VmSnapshotRow.Read, vmId, location);

    public List<VmSnapshotRow> OfVm(long vmId) =>
        database.Query($"SELECT {VmSnapshotRow.Columns} FROM vm_snapshot s WHERE s.vm_id = ?1 ORDER BY s.id", VmSnapshotRow.Read, vmId);

    /// <summary>The snapshots of a VM, or of all by VM, without their configuration, which is the larger part of a row and seldom wanted.</summary>
    public List<VmSnapshotRow> List(long? vmId)
    {
        if (vmId is not null) return database.Query($"SELECT {VmSnapshotRow.ListColumns} FROM vm_snapshot s WHERE s.vm_id = ?1 ORDER BY s.id", VmSnapshotRow.Read, vmId);
        // Sorted here: SQLite would copy every row to do it.
        var all = database.Query($"SELECT {VmSnapshotRow.ListColumns} FROM vm_snapshot s ORDER BY s.id", VmSnapshotRow.Read);
        all.Sort((a, b) => a.VmId != b.VmId ? a.VmId.CompareTo(b.VmId) : a.Id.CompareTo(b.Id));
        return all;
    }

    public long CountOfVm(long vmId) => database.Number("SELECT count(*) FROM vm_snapshot WHERE vm_id = ?1", vmId);

    public long Count() => database.Number("SELECT count(*) FROM vm_snapshot");

    public long Insert(VmSnapshotRow s) => database.Insert(
        """
        INSERT INTO vm_snapshot(uid, vm_id, parent_id, name, created_at, description, tags, expires_at, scope, consistency, is_backup, pause, memory, memory_bytes, configuration)
        VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
        """,
        s.Uid, s.VmId, s.ParentId, s.Name, s.CreatedAt, s.Description, s.Tags, s.ExpiresAt, s.Scope, s.Consistency, s.IsBackup, s.Pause, s.Memory, s.MemoryBytes, s.Configuration);

    public void Rename(long id, string name)
    {
        database.Execute("UPDATE vm_snapshot SET name = ?2 WHERE id = ?1", id, name);
        database.Execute("UPDATE volume_snapshot SET name = ?2 WHERE vm_snapshot_id = ?1", id, name);
    }

    public void Update(long id, string? description, string tags, DateTimeOffset? expiresAt) =>
        database.Execute("UPDATE vm_snapshot SET description = ?2, tags = ?3, expires_at = ?4 WHERE id = ?1", id, description, tags, expiresAt);

    /// <summary>Forgets a VM snapshot; its children, and the VM's present, then descend from its parent.</summary>
    public void Delete(VmSnapshotRow s)
    {
        database.Execute("UPDATE vm_snapshot SET parent_id = ?2 WHERE parent_id = ?1", s.Id, s.ParentId);
        database.Execute("UPDATE vm SET present_id = ?3 WHERE id = ?1 AND present_id = ?2", s.VmId, s.Id, s.ParentId);
        database.Execute("UPDATE volume_snapshot SET vm_snapshot_id = NULL WHERE vm_snapshot_id = ?1", s.Id);
        database.Execute("INSERT OR IGNORE INTO garbage(location) SELECT location FROM firmware WHERE vm_snapshot_id = ?1", s.Id);
        database.Execute("DELETE FROM firmware WHERE vm_snapshot_id = ?1", s.Id);
        database.Execute("DELETE FROM vm_snapshot WHERE id = ?1", s.Id);
        if (s.Memory is not null) MachineTable.ReleaseMemory(database, s.Memory);
    }

    /// <summary>Snapshots of one layer are from now on of another, which reads the same.</summary>
    public void MoveToLayer(long layerId, long otherId) => database.Execute("UPDATE volume_snapshot SET layer_id = ?2 WHERE layer_id = ?1", layerId, otherId);

    public List<long> Children(long id) => database.Query("SELECT id FROM vm_snapshot WHERE parent_id = ?1", r => r.GetInt64(0), id);

    public VolumeSnapshotRow? FindVolumeSnapshot(long id) =>
        database.Single($"SELECT {VolumeSnapshotRow.Columns} FROM volume_snapshot s WHERE s.id = ?1", VolumeSnapshotRow.Read, id);

    /// <summary>The snapshots from which some descend, by their numbers.</summary>
    public Dictionary<long, VolumeSnapshotRow> ParentsOf(List<VolumeSnapshotRow> snapshots) => ByNumber(snapshots.FindAll(s => s.ParentId is not null), s => s.ParentId!.Value);

    /// <summary>The snapshots from which the present of some volumes descends, by their numbers.</summary>
    public Dictionary<long, VolumeSnapshotRow> PresentOf(List<VolumeRow> volumes) => ByNumber(volumes.FindAll(v => v.PresentId is not null), v => v.PresentId!.Value);

    public VolumeSnapshotRow? FindVolumeSnapshot(Guid uid) =>
        database.Single($"SELECT {VolumeSnapshotRow.Columns} FROM volume_snapshot s WHERE s.uid = ?1", VolumeSnapshotRow.Read, uid);

    public List<VolumeSnapshotRow> OfVmSnapshot(long vmSnapshotId) => database.Query(
        $"SELECT {VolumeSnapshotRow.Columns} FROM volume_snapshot s WHERE s.vm_snapshot_id = ?1 ORDER BY s.position", VolumeSnapshotRow.Read, vmSnapshotId);

    public List<VolumeSnapshotRow> OfVolume(long volumeId) => database.Query(
        $"SELECT {VolumeSnapshotRow.Columns} FROM volume_snapshot s WHERE s.volume_id = ?1 ORDER BY s.id", VolumeSnapshotRow.Read, volumeId);

    /// <summary>What the snapshots of a VM consist of, or those of all VMs and volumes, with their layers, oldest first.</summary>
    public List<ListedPart> Parts(long? vmId) => vmId is null
        ? database.Query($"SELECT {ListedPart.Columns} FROM volume_snapshot s JOIN layer l ON l.id = s.layer_id ORDER BY s.id", ListedPart.Read)
        : database.Query($"SELECT {ListedPart.Columns} FROM vm_snapshot w JOIN volume_snapshot s ON s.vm_snapshot_id = w.id JOIN layer l ON l.id = s.layer_id WHERE w.vm_id = ?1 ORDER BY s.id", ListedPart.Read, vmId);

    public long CountOfVolume(long volumeId) => database.Number("SELECT count(*) FROM volume_snapshot WHERE volume_id = ?1", volumeId);

    public Dictionary<long, int> CountsByVolume() =>
        database.Query("SELECT volume_id, count(*) FROM volume_snapshot GROUP BY volume_id", r => (r.GetInt64(0), r.GetInt32(1))).ToDictionary(c => c.Item1, c => c.Item2);

    public long InsertVolumeSnapshot(VolumeSnapshotRow s) => database.Insert(
        "INSERT INTO volume_snapshot(uid, volume_id, parent_id, vm_snapshot_id, position, name, created_at, description, layer_id) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        s.Uid, s.VolumeId, s.ParentId, s.VmSnapshotId, s.Position, s.Name, s.CreatedAt, s.Description, s.LayerId);

    /// <summary>Forgets a volume snapshot; its children, and the volume's present, then descend from its parent.</summary>
    public void DeleteVolumeSnapshot(VolumeSnapshotRow s)
    {
        database.Execute("UPDATE volume_snapshot SET parent_id = ?2 WHERE parent_id = ?1", s.Id, s.ParentId);
        database.Execute("UPDATE volume SET present_id = ?3 WHERE id = ?1 AND present_id = ?2", s.VolumeId, s.Id, s.ParentId);
        database.Execute("DELETE FROM volume_snapshot WHERE id = ?1", s.Id);
    }

    public long CountOnLayer(long layerId) => database.Number("SELECT count(*) FROM volume_snapshot WHERE layer_id = ?1", layerId);

    /// <summary>Every tag in use, once.</summary>
    public List<string> AllTags() => database.Query("SELECT DISTINCT t.value FROM vm_snapshot s, json_each(s.tags) t ORDER BY 1", r => r.GetString(0));

    private Dictionary<long, VolumeSnapshotRow> ByNumber<TRow>(List<TRow> rows, Func<TRow, long> id) =>
        database.QueryIn($"SELECT {VolumeSnapshotRow.Columns} FROM volume_snapshot s WHERE s.id", VolumeSnapshotRow.Read, rows, id).ToDictionary(s => s.Id);
}
