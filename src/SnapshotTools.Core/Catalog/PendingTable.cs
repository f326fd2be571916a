namespace SnapshotTools.Core.Catalog;

/// <summary>The files that operations are about to make: known of before they exist, and forgotten when the operation ends, in the transaction that
/// makes layers of them or after they were deleted.</summary>
/// <remarks>Nothing but that is asked of them, so this table has no index and the ledger does not repeat it: what begins an operation writes few pages.</remarks>
internal sealed class PendingTable(Database database)
{
    /// <summary>A layer that the operation makes.</summary>
    /// <param name="operationId">The operation.</param>
    /// <param name="file">Its file, in the store.</param>
    /// <param name="parentId">The layer that it lies on; null when there is none, or when that is pending as well.</param>
    /// <param name="size">Its size in bytes.</param>
    public void Insert(long operationId, LayerFile file, long? parentId, long size) => database.Execute(
        "INSERT INTO pending(location, operation_id, uid, parent_id, format, size) VALUES(?1, ?2, ?3, ?4, ?5, ?6)", file.Location, operationId, file.Id, parentId, file.Format, size);

    /// <summary>Another file that it makes: saved memory, or a copy of a firmware's variables.</summary>
    public void InsertFile(long operationId, string location) => Insert(operationId, new LayerFile(Guid.CreateVersion7(), location, LayerFormat.Raw, External: false), null, 0);

    public List<PendingRow> Of(long operationId) => database.Query($"SELECT {PendingRow.Columns} FROM pending WHERE operation_id = ?1", PendingRow.Read, operationId);

    public List<string> Locations() => database.Query("SELECT location FROM pending", r => r.GetString(0));

    /// <summary>The layers that pending ones lie on.</summary>
    public List<long> Parents() => database.Query("SELECT DISTINCT parent_id FROM pending WHERE parent_id IS NOT NULL", r => r.GetInt64(0));

    /// <summary>Forgets one file, which is a layer from now on.</summary>
    public void Delete(string location) => database.Execute("DELETE FROM pending WHERE location = ?1", location);

    /// <summary>Forgets all files of an operation.</summary>
    public void DeleteOf(long operationId) => database.Execute("DELETE FROM pending WHERE operation_id = ?1", operationId);
}
