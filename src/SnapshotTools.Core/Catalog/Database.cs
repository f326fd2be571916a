using System.Globalization;
using SnapshotTools.IO;

namespace SnapshotTools.Core.Catalog;

/// <summary>
/// The SQLite file under the catalog: WAL, one connection, statements prepared once. A transaction is durable when its
/// commit returns, unless it was begun as one that may be lost with the power.
/// </summary>
internal sealed class Database : IDisposable
{
    private const int BusyTimeoutMilliseconds = 30_000;
    private const int NoRoomForSharedMemory = 4874;   // SQLITE_IOERR_SHMSIZE: the file beside the journal that processes share cannot grow

    private readonly string _path;
    private readonly Connection _connection;
    private readonly nint _handle;
    private readonly Dictionary<string, Statement> _statements = [];
    private bool _inTransaction;
    private bool _isRelaxed;

    /// <summary>Is told of each write transaction that was committed, and whether it was waited for to be durable; for tests of crashes.</summary>
    internal event Action<bool>? Committed;

    /// <summary>The statements that were run so far; for tests of how their cost grows.</summary>
    internal IReadOnlyCollection<string> Statements => _statements.Keys;

    private Database(string path)
    {
        _path = path;
        _connection = Connection.Open(path);
        _handle = _connection.DangerousGetHandle();   // the connection is kept as long as this
    }

    /// <summary>Opens the catalog file, or makes it when <paramref name="create"/> says so, and brings its schema up to date.</summary>
    public static Database Open(IFileSystem files, string path, bool create)
    {
        // The file is ours from its first instant; SQLite gives its WAL the same mode.
        if (create) files.Create(path).Dispose();
        Database database;
        try
        {
            database = new Database(path);
        }
        catch (SqliteFailure failure)
        {
            throw Translate(failure, path);
        }
        try
        {
            database.Pragma(string.Create(CultureInfo.InvariantCulture, $"busy_timeout={BusyTimeoutMilliseconds}"));
            if (create)
            {
                // The log gets whole pages, and an operation changes a little of many: smaller ones are less to write and to flush. With 1 KiB the deeper
                // trees cost more than that where an operation is of many disks.
                database.Pragma("page_size=2048");
                database.Pragma("journal_mode=WAL");
            }
            database.Pragma("synchronous=FULL");
            database.Pragma("foreign_keys=ON");
            Schema.BringUpToDate(database, path);
            return database;
        }
        catch
        {
            database.Dispose();
            throw;
        }
    }

    /// <summary>A catalog's file and those that SQLite may have beside it.</summary>
    public static string[] FilesOf(string path) => [path, path + "-wal", path + "-shm", path + "-journal"];

    /// <summary>Where a catalog is made that comes into its place whole; what a killed process left there is deleted.</summary>
    public static string PlaceToMake(IFileSystem files, string path)
    {
        string making = path + ".new";
        foreach (string left in FilesOf(making))
            if (files.Stat(left) is not null) files.Delete(left);
        return making;
    }

    /// <summary>
    /// Runs <paramref name="work"/> in one write transaction. With <paramref name="durable"/> false it survives the end of
    /// this process but not that of the machine: only for what can be found out again.
    /// </summary>
    public T Write<T>(Func<T> work, bool durable = true)
    {
        if (_inTransaction) return work();
        if (_isRelaxed == durable)
        {
            Pragma(durable ? "synchronous=FULL" : "synchronous=NORMAL");
            _isRelaxed = !durable;
        }
        try
        {
            Begin("BEGIN IMMEDIATE");
            T result = work();
            Execute("COMMIT");
            _inTransaction = false;
            Committed?.Invoke(durable);
            return result;
        }
        finally
        {
            End();
        }
    }

    /// <inheritdoc cref="Write{T}"/>
    public void Write(Action work, bool durable = true) => Write(() => { work(); return true; }, durable);

    /// <summary>Runs <paramref name="work"/> on one view of the catalog.</summary>
    public T Read<T>(Func<T> work)
    {
        if (_inTransaction) return work();
        try
        {
            Begin("BEGIN");
            return work();
        }
        finally
        {
            End();
        }
    }

    /// <inheritdoc cref="Read{T}"/>
    public void Read(Action work) => Read(() => { work(); return true; });

    /// <summary>Runs a statement and returns the number of rows it changed.</summary>
    public int Execute(string sql, params ReadOnlySpan<object?> values)
    {
        var statement = Bind(sql, values);
        try
        {
            statement.Step();
            return Sqlite3.Changes(_handle);
        }
        catch (SqliteFailure failure)
        {
            throw Translate(failure);
        }
        finally
        {
            statement.Reset();
        }
    }

    /// <summary>Runs all statements of a text, which have no parameters.</summary>
    public void ExecuteAll(string sql)
    {
        try
        {
            Statement.RunAll(_handle, sql);
        }
        catch (SqliteFailure failure)
        {
            throw Translate(failure);
        }
    }

    /// <summary>Runs an INSERT and returns the new row's number.</summary>
    public long Insert(string sql, params ReadOnlySpan<object?> values)
    {
        Execute(sql, values);
        return Sqlite3.LastInsertRowId(_handle);
    }

    /// <summary>The number in the first column of the first row, or 0 when there is none.</summary>
    public long Number(string sql, params ReadOnlySpan<object?> values) => Query(sql, static r => r.Value(0), values) is [long number, ..] ? number : 0;

    /// <summary>The text in the first column of the first row; null when there is none.</summary>
    public string? Text(string sql, params ReadOnlySpan<object?> values) => Query(sql, static r => r.Text(0), values).FirstOrDefault();

    /// <summary>All rows of a query.</summary>
    public List<T> Query<T>(string sql, Func<RowReader, T> map, params ReadOnlySpan<object?> values)
    {
        var statement = Bind(sql, values);
        try
        {
            var rows = new List<T>();
            while (statement.Step()) rows.Add(map(statement.Row));
            return rows;
        }
        catch (SqliteFailure failure)
        {
            throw Translate(failure);
        }
        finally
        {
            statement.Reset();
        }
    }

    /// <summary>The rows that others refer to, one for each of these and in their order, by one query.</summary>
    /// <param name="rows">Those that refer to them.</param>
    /// <param name="id">By which number.</param>
    /// <param name="sql">The query up to the column that has to be that number, which is its last word.</param>
    /// <param name="map">Makes a row.</param>
    /// <param name="idOf">The row's number.</param>
    /// <param name="one">Gets one by its number, or says that there is none.</param>
    public List<T> QueryFor<TRow, T>(List<TRow> rows, Func<TRow, long> id, string sql, Func<RowReader, T> map, Func<T, long> idOf, Func<long, T> one) where T : class
    {
        if (rows.Count < 2) return rows.ConvertAll(r => one(id(r)));
        var found = QueryIn(sql, map, rows, id).ToDictionary(idOf);
        return rows.ConvertAll(r => found.TryGetValue(id(r), out var row) ? row : one(id(r)));
    }

    /// <summary>The rows in which a column is the number of one of these others, in any order.</summary>
    /// <param name="sql">The query up to that column, which is its last word.</param>
    /// <param name="map">Makes a row.</param>
    /// <param name="others">The others.</param>
    /// <param name="number">The number of one.</param>
    public List<T> QueryIn<TRow, T>(string sql, Func<RowReader, T> map, List<TRow> others, Func<TRow, long> number) => others.Count switch
    {
        0 => [],
        1 => Query(sql + " = ?1", map, number(others[0])),   // a table made of JSON costs more than the row
        _ => Query(sql + " IN (SELECT value FROM json_each(?1))", map, Numbers(others, number)),
    };

    /// <summary>Numbers as one parameter: a list for SQLite's <c>json_each</c>.</summary>
    public static string Numbers<TRow>(IEnumerable<TRow> rows, Func<TRow, long> number) =>
        "[" + string.Join(',', rows.Select(r => number(r).ToString(CultureInfo.InvariantCulture))) + "]";

    /// <summary>The first row of a query, or null.</summary>
    public T? Single<T>(string sql, Func<RowReader, T> map, params ReadOnlySpan<object?> values) where T : class =>
        Query(sql, map, values).FirstOrDefault();

    /// <summary>What SQLite finds wrong with its file, or null.</summary>
    public string? Damage()
    {
        try
        {
            string? found = Text("PRAGMA quick_check(1)");
            return found == "ok" ? null : found;
        }
        catch (SnapshotException error) when (error.ErrorId == ErrorIds.CatalogDamaged)
        {
            return error.InnerException?.Message ?? error.Message;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var statement in _statements.Values) statement.Dispose();
        _statements.Clear();
        _connection.Dispose();
    }

    private void Begin(string statement)
    {
        Execute(statement);
        _inTransaction = true;
    }

    /// <summary>Takes back what was not committed. SQLite may have done so itself, when the disk was full.</summary>
    private void End()
    {
        if (!_inTransaction) return;
        _inTransaction = false;
        if (Sqlite3.GetAutoCommit(_handle) == 0) Execute("ROLLBACK");
    }

    // SQLite follows some pragmas when they are prepared, so that is done each time.
    private void Pragma(string pragma) => ExecuteAll("PRAGMA " + pragma);

    private Statement Bind(string sql, ReadOnlySpan<object?> values)
    {
        try
        {
            if (!_statements.TryGetValue(sql, out var statement)) _statements.Add(sql, statement = Statement.Prepare(_handle, sql));
            statement.Bind(values);
            return statement;
        }
        catch (SqliteFailure failure)
        {
            throw Translate(failure);
        }
    }

    private SnapshotException Translate(SqliteFailure failure) => Translate(failure, _path);

    private static SnapshotException Translate(SqliteFailure error, string path) => (error.Code & 0xff) switch
    {
        5 or 6 => new SnapshotException(ErrorIds.CatalogBusy, ErrorKind.Busy,   // SQLITE_BUSY, SQLITE_LOCKED
            $"The catalog '{path}' was locked by another process for more than {BusyTimeoutMilliseconds / 1000} seconds. Try again.", path, cause: error),
        11 or 26 => new SnapshotException(ErrorIds.CatalogDamaged, ErrorKind.Damaged,   // SQLITE_CORRUPT, SQLITE_NOTADB
            $"The catalog '{path}' is damaged ({error.Message}). The layers are not affected. Rebuild it: Repair-SnapshotStore", path, cause: error),
        13 or 10 when error.Code is 13 or NoRoomForSharedMemory => new SnapshotException(ErrorIds.NotEnoughSpace, ErrorKind.NoSpace,   // SQLITE_FULL, SQLITE_IOERR
            $"There is no space left for the catalog '{path}'. Nothing was changed. Free some space and try again.", path, cause: error),
        _ => new SnapshotException(ErrorIds.StoreIoFailed, ErrorKind.Failed, $"The catalog '{path}' cannot be read or written: {error.Message.TrimEnd('.')} (SQLite code {error.Code}). See to the disk, then run Test-SnapshotStore.", path, cause: error),
    };
}
