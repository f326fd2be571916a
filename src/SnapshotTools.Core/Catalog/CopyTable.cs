namespace SnapshotTools.Core.Catalog;

/// <summary>Clones whose data is still to be copied, each with the operation that does it.</summary>
internal sealed class CopyTable(Database database)
{
    public CopyRow? Find(long operationId) => database.Single($"SELECT {CopyRow.Columns} FROM copy c WHERE c.operation_id = ?1", CopyRow.Read, operationId);

    public List<CopyRow> All() => database.Query($"SELECT {CopyRow.Columns} FROM copy c ORDER BY c.operation_id", CopyRow.Read);

    /// <summary>Whether there is one at all.</summary>
    public bool Any() => database.Number("SELECT EXISTS(SELECT 1 FROM copy)") != 0;

    /// <summary>Copies that a volume is the target or the source of.</summary>
    public List<CopyRow> OfVolume(long volumeId) =>
        database.Query($"SELECT {CopyRow.Columns} FROM copy c WHERE c.volume_id = ?1 OR c.source_id = ?1 ORDER BY c.operation_id", CopyRow.Read, volumeId);

    public void Insert(CopyRow c) => database.Execute(
        "INSERT INTO copy(operation_id, batch, volume_id, layer_id, source_id, location, copied_to, max_rate, max_concurrency) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        c.OperationId, c.Batch, c.VolumeId, c.LayerId, c.SourceId, c.Location, c.CopiedTo, c.MaxRate, c.MaxConcurrency);

    /// <summary>All of the disk before an offset is durable in the copy.</summary>
    public void SetCopiedTo(long operationId, long offset) => database.Execute("UPDATE copy SET copied_to = ?2 WHERE operation_id = ?1", operationId, offset);

    /// <summary>Whether a layer is to be filled.</summary>
    public bool IsOf(long layerId) => database.Number("SELECT EXISTS(SELECT 1 FROM copy WHERE layer_id = ?1)", layerId) != 0;

    public void Delete(long operationId) => database.Execute("DELETE FROM copy WHERE operation_id = ?1", operationId);
}
