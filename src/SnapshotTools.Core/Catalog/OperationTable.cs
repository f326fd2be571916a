namespace SnapshotTools.Core.Catalog;

/// <summary>Operations.</summary>
internal sealed class OperationTable(Database database)
{
    public OperationRow Begin(OperationKind kind, string target)
    {
        var uid = Guid.CreateVersion7();
        var now = DateTimeOffset.UtcNow;
        long id = database.Insert(
            "INSERT INTO operation(uid, kind, target, state, started_at, process_id) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
            uid, kind, target, OperationState.Running, now, Environment.ProcessId);
        return new OperationRow(id, uid, kind, target, OperationState.Running, 0, 0, now, null, Environment.ProcessId, null);
    }

    public void End(long id, OperationState state, string? error = null) =>
        database.Execute("UPDATE operation SET state = ?2, ended_at = ?3, error = ?4 WHERE id = ?1", id, state, DateTimeOffset.UtcNow, error);

    public void SetProgress(long id, long done, long total) =>
        database.Execute("UPDATE operation SET bytes_done = ?2, bytes_total = ?3 WHERE id = ?1", id, done, total);

    public List<OperationRow> Open() =>
        database.Query($"SELECT {OperationRow.Columns} FROM operation o WHERE o.state IN (0, 1, 2)", OperationRow.Read);

    public List<OperationRow> All() => database.Query($"SELECT {OperationRow.Columns} FROM operation o ORDER BY o.id", OperationRow.Read);

    /// <summary>Forgets operations that ended before a time.</summary>
    public void Forget(DateTimeOffset endedBefore) => database.Execute("DELETE FROM operation WHERE ended_at < ?1", endedBefore);
}
