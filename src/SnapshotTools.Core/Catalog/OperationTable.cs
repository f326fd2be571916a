namespace SnapshotTools.Core.Catalog;

/// <summary>Operations.</summary>
internal sealed class OperationTable(Database database)
{
    public OperationRow Begin(OperationKind kind, string target) => Insert(kind, target, OperationState.Running);

    /// <summary>Writes down an operation that nobody works on yet.</summary>
    public OperationRow Queue(OperationKind kind, string target, long total)
    {
        var row = Insert(kind, target, OperationState.Pending);
        SetProgress(row.Id, 0, total);
        return row with { BytesTotal = total };
    }

    public OperationRow Get(long id) => database.Single($"SELECT {OperationRow.Columns} FROM operation o WHERE o.id = ?1", OperationRow.Read, id)
        ?? throw new SnapshotException(ErrorIds.OperationNotFound, ErrorKind.NotFound, "The operation is not remembered any more.");

    public OperationRow? FindById(Guid uid) => database.Single($"SELECT {OperationRow.Columns} FROM operation o WHERE o.uid = ?1", OperationRow.Read, uid);

    public void End(long id, OperationState state, string? error = null) =>
        database.Execute("UPDATE operation SET state = ?2, ended_at = ?3, error = ?4, rate = 0, wanted = 0 WHERE id = ?1", id, state, DateTimeOffset.UtcNow, error);

    /// <summary>This process works on it from now on.</summary>
    public void SetRunning(long id) => database.Execute(
        "UPDATE operation SET state = ?2, ended_at = NULL, error = NULL, process_id = ?3, wanted = 0 WHERE id = ?1", id, OperationState.Running, Environment.ProcessId);

    /// <summary>Nobody works on it for now, but it did not end.</summary>
    public void SetWaiting(long id, OperationState state, string? error = null) =>
        database.Execute("UPDATE operation SET state = ?2, ended_at = NULL, error = ?3, rate = 0, wanted = 0 WHERE id = ?1", id, state, error);

    /// <summary>Asks its owner for something.</summary>
    public void SetWanted(long id, OperationWish wish) => database.Execute("UPDATE operation SET wanted = ?2 WHERE id = ?1", id, wish);

    public void SetProgress(long id, long done, long total, long rate = 0) =>
        database.Execute("UPDATE operation SET bytes_done = ?2, bytes_total = ?3, rate = ?4 WHERE id = ?1", id, done, total, rate);

    public List<OperationRow> Open() =>
        database.Query($"SELECT {OperationRow.Columns} FROM operation o WHERE o.state < 3", OperationRow.Read);

    /// <summary>Those that somebody works on, or worked on when the process was killed.</summary>
    /// <remarks>SQLite uses the index of open operations only where its condition is said literally.</remarks>
    public List<OperationRow> Running() =>
        database.Query($"SELECT {OperationRow.Columns} FROM operation o WHERE o.state < 3 AND o.state = 1", OperationRow.Read);

    public List<OperationRow> All() => database.Query($"SELECT {OperationRow.Columns} FROM operation o ORDER BY o.id", OperationRow.Read);

    /// <summary>Forgets operations that ended before a time and that nothing is left to be done of.</summary>
    public void Forget(DateTimeOffset endedBefore) =>
        database.Execute("DELETE FROM operation WHERE ended_at < ?1 AND NOT EXISTS(SELECT 1 FROM copy c WHERE c.operation_id = operation.id)", endedBefore);

    private OperationRow Insert(OperationKind kind, string target, OperationState state)
    {
        var uid = Guid.CreateVersion7();
        var now = DateTimeOffset.UtcNow;
        long id = database.Insert(
            "INSERT INTO operation(uid, kind, target, state, started_at, process_id) VALUES(?1, ?2, ?3, ?4, ?5, ?6)", uid, kind, target, state, now, Environment.ProcessId);
        return new OperationRow(id, uid, kind, target, state, 0, 0, now, null, Environment.ProcessId, null);
    }
}
