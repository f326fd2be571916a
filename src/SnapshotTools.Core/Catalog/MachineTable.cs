namespace SnapshotTools.Core.Catalog;

/// <summary>VM instances and what is attached to them.</summary>
internal sealed class MachineTable(Database database)
{
    public VmRow Get(long id) => Find(id)
        ?? throw new SnapshotException(ErrorIds.VmNotFound, ErrorKind.NotFound, "The VM was removed in the meantime.");

    public VmRow? Find(long id) => database.Single($"SELECT {VmRow.Columns} FROM vm m WHERE m.id = ?1", VmRow.Read, id);

    public VmRow? FindByName(string name) => database.Single($"SELECT {VmRow.Columns} FROM vm m WHERE m.name = ?1", VmRow.Read, name);

    public VmRow? FindById(Guid uid) => database.Single($"SELECT {VmRow.Columns} FROM vm m WHERE m.uid = ?1", VmRow.Read, uid);

    public List<VmRow> All() => database.Query($"SELECT {VmRow.Columns} FROM vm m ORDER BY m.name", VmRow.Read);

    public long Count() => database.Number("SELECT count(*) FROM vm WHERE is_template = 0");

    public long Insert(Guid uid, string name, int processors, long memory, string adapters, string boot, string? description) => database.Insert(
        "INSERT INTO vm(uid, name, processors, memory, adapters, boot, description, created_at, generation) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        uid, name, processors, memory, adapters, boot, description, DateTimeOffset.UtcNow, Guid.NewGuid());

    public void SetTemplate(long id) => database.Execute("UPDATE vm SET is_template = 1 WHERE id = ?1", id);

    public void SetPresent(long id, long? snapshotId) => database.Execute("UPDATE vm SET present_id = ?2 WHERE id = ?1", id, snapshotId);

    /// <summary>Puts the VM into state Error with what is needed to end the failed restore, or, with nulls, out of it.</summary>
    public void SetError(long id, string? error, string? failedRestore) =>
        database.Execute("UPDATE vm SET error = ?2, failed_restore = ?3 WHERE id = ?1 AND (error IS NOT ?2 OR failed_restore IS NOT ?3)", id, error, failedRestore);

    public void SetConfiguration(long id, VmConfiguration c) => database.Execute(
        "UPDATE vm SET processors = ?2, memory = ?3, adapters = ?4, boot = ?5, description = ?6 WHERE id = ?1",
        id, c.ProcessorCount, c.MemoryBytes, Engine.Json.Write(c.NetworkAdapters.ToArray()), Engine.Json.Write(c.Boot), c.Description);

    /// <summary>Tells the guest, when it is started next, that it is another copy of itself.</summary>
    public void SetNewGeneration(long id) => database.Execute("UPDATE vm SET generation = ?2 WHERE id = ?1", id, Guid.NewGuid());

    /// <summary>The memory that the VM goes on from when it is started; null boots it. One that nothing needs any more is to be deleted.</summary>
    public void SetMemory(long id, string? location)
    {
        string? earlier = database.Single("SELECT suspended_memory FROM vm WHERE id = ?1 AND suspended_memory IS NOT NULL", r => r.GetString(0), id);
        if (earlier != location) database.Execute("UPDATE vm SET suspended_memory = ?2 WHERE id = ?1", id, location);
        if (earlier is not null) ReleaseMemory(database, earlier);
    }

    /// <summary>Lets a memory file be deleted unless a suspended VM or a snapshot needs it.</summary>
    public static void ReleaseMemory(Database database, string location) => database.Execute(
        """
        INSERT OR IGNORE INTO garbage(location) SELECT ?1
        WHERE NOT EXISTS(SELECT 1 FROM vm WHERE suspended_memory = ?1) AND NOT EXISTS(SELECT 1 FROM vm_snapshot WHERE memory = ?1)
        """, location);

    /// <summary>All memory that was saved, of snapshots and of VMs that are suspended; one of both is here twice.</summary>
    public List<SavedFile> AllMemory() => database.Query(
        """
        SELECT s.memory, v.name, s.name FROM vm_snapshot s JOIN vm v ON v.id = s.vm_id WHERE s.memory IS NOT NULL
        UNION ALL SELECT suspended_memory, name, NULL FROM vm WHERE suspended_memory IS NOT NULL
        """, r => new SavedFile(r.GetString(0), r.GetString(1), r.Text(2)));

    /// <summary>All files of firmware variables.</summary>
    public List<SavedFile> AllFirmware() => database.Query(
        """
        SELECT f.location, v.name, s.name FROM firmware f JOIN vm_snapshot s ON s.id = f.vm_snapshot_id JOIN vm v ON v.id = s.vm_id
        UNION ALL SELECT f.location, v.name, NULL FROM firmware f JOIN vm v ON v.id = f.vm_id
        """, r => new SavedFile(r.GetString(0), r.GetString(1), r.Text(2)));

    /// <summary>The machine of a VM that someone else started, if one was connected.</summary>
    public ConnectedMachine? Connected(long vmId) => database.Single(
        "SELECT monitor, agent, names FROM connected WHERE vm_id = ?1",
        r => new ConnectedMachine(r.GetString(0), r.Text(1), Engine.Json.Read<Dictionary<string, string>>(r.GetString(2))), vmId);

    public void Connect(long vmId, ConnectedMachine machine) => database.Execute(
        "INSERT OR REPLACE INTO connected(vm_id, monitor, agent, names, connected_at) VALUES(?1, ?2, ?3, ?4, ?5)",
        vmId, machine.Monitor, machine.Agent, Engine.Json.Write(machine.Names.ToDictionary()), DateTimeOffset.UtcNow);

    public void Disconnect(long vmId) => database.Execute("DELETE FROM connected WHERE vm_id = ?1", vmId);

    /// <summary>The file of a VM's firmware variables; null while it has none of its own.</summary>
    public string? Firmware(long vmId) => database.Single("SELECT location FROM firmware WHERE vm_id = ?1", r => r.GetString(0), vmId);

    /// <summary>The file of the firmware variables of a VM's snapshot.</summary>
    public string? FirmwareOfSnapshot(long snapshotId) => database.Single("SELECT location FROM firmware WHERE vm_snapshot_id = ?1", r => r.GetString(0), snapshotId);

    /// <summary>Gives a VM that has none its file.</summary>
    public void SetFirmware(long vmId, string location) => database.Execute("INSERT INTO firmware(vm_id, location) VALUES(?1, ?2)", vmId, location);

    /// <summary>The file of a VM, if it has one, is its snapshot's from now on.</summary>
    public void GiveFirmware(long vmId, long snapshotId) => database.Execute("UPDATE firmware SET vm_id = NULL, vm_snapshot_id = ?2 WHERE vm_id = ?1", vmId, snapshotId);

    /// <summary>A VM's file, if it has one, is not needed any more.</summary>
    public void DropFirmware(long vmId)
    {
        database.Execute("INSERT OR IGNORE INTO garbage(location) SELECT location FROM firmware WHERE vm_id = ?1", vmId);
        database.Execute("DELETE FROM firmware WHERE vm_id = ?1", vmId);
    }

    public void SetFirmwareOfSnapshot(long snapshotId, string location) => database.Execute("INSERT INTO firmware(vm_snapshot_id, location) VALUES(?1, ?2)", snapshotId, location);

    public void Delete(long id)
    {
        DropFirmware(id);
        SetMemory(id, null);
        database.Execute("DELETE FROM vm WHERE id = ?1", id);
    }

    public List<AttachmentRow> Attachments(long vmId) => database.Query(
        $"SELECT {AttachmentRow.Columns} FROM attachment a JOIN volume v ON v.id = a.volume_id WHERE a.vm_id = ?1 ORDER BY a.position", AttachmentRow.Read, vmId);

    /// <summary>Every VM's attachment of one volume.</summary>
    public List<AttachmentRow> AllAttachmentsOf(long volumeId) => database.Query(
        $"SELECT {AttachmentRow.Columns} FROM attachment a JOIN volume v ON v.id = a.volume_id WHERE a.volume_id = ?1 ORDER BY a.vm_id", AttachmentRow.Read, volumeId);

    public List<AttachmentRow> AllAttachments() => database.Query(
        $"SELECT {AttachmentRow.Columns} FROM attachment a JOIN volume v ON v.id = a.volume_id ORDER BY a.vm_id, a.position", AttachmentRow.Read);

    public void Attach(long vmId, long volumeId, int position, DiskBus bus, bool boot, bool shared) => database.Execute(
        "INSERT INTO attachment(vm_id, volume_id, position, bus, boot, shared) VALUES(?1, ?2, ?3, ?4, ?5, ?6)", vmId, volumeId, position, bus, boot, shared);

    public void Detach(long vmId, long volumeId) => database.Execute("DELETE FROM attachment WHERE vm_id = ?1 AND volume_id = ?2", vmId, volumeId);

    /// <summary>Snapshot counts by VM row.</summary>
    public Dictionary<long, int> SnapshotCounts() =>
        database.Query("SELECT vm_id, count(*) FROM vm_snapshot GROUP BY vm_id", r => (r.GetInt64(0), r.GetInt32(1))).ToDictionary(c => c.Item1, c => c.Item2);
}

/// <summary>A file of saved memory, or of a firmware's variables.</summary>
/// <param name="Location">Where it is.</param>
/// <param name="Vm">The name of its VM.</param>
/// <param name="Snapshot">The name of the snapshot that has it; null when it is the VM's own.</param>
internal sealed record SavedFile(string Location, string Vm, string? Snapshot);
