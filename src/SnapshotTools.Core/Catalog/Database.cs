using System.Globalization;
using Microsoft.Data.Sqlite;
using SnapshotTools.IO;
using SQLitePCL;

namespace SnapshotTools.Core.Catalog;

/// <summary>
/// The SQLite file under the catalog: WAL, one connection, statements prepared once. A transaction is durable when its
/// commit returns, unless it was begun as one that may be lost with the power.
/// </summary>
internal sealed class Database : IDisposable
{
    private const int BusyTimeoutMilliseconds = 30_000;
    private const int NoRoomForSharedMemory = 4874;   // SQLITE_IOERR_SHMSIZE: the file beside the journal that processes share cannot grow

    private readonly SqliteConnection _connection;
    private readonly Dictionary<string, SqliteCommand> _commands = [];
    private bool _inTransaction;
    private bool _isRelaxed;

    /// <summary>Is told of each write transaction that was committed, and whether it was waited for to be durable; for tests of crashes.</summary>
    internal event Action<bool>? Committed;

    /// <summary>The statements that were run so far; for tests of how their cost grows.</summary>
    internal IReadOnlyCollection<string> Statements => _commands.Keys;

    private Database(SqliteConnection connection) => _connection = connection;

    /// <summary>Opens the catalog file, or makes it when <paramref name="create"/> says so, and brings its schema up to date.</summary>
    public static Database Open(IFileSystem files, string path, bool create)
    {
        NativeSqlite.EnsureReady();
        // The file is ours from its first instant; SQLite gives its WAL the same mode.
        if (create) files.Create(path).Dispose();
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = path,
            Mode = SqliteOpenMode.ReadWrite,
            Pooling = false,
            DefaultTimeout = BusyTimeoutMilliseconds / 1000,
        }.ToString());
        var database = new Database(connection);
        try
        {
            connection.Open();
            database.Pragma(string.Create(CultureInfo.InvariantCulture, $"busy_timeout={BusyTimeoutMilliseconds}"));
            if (create) database.Pragma("journal_mode=WAL");
            database.Pragma("synchronous=FULL");
            database.Pragma("foreign_keys=ON");
            Schema.BringUpToDate(database, path);
            return database;
        }
        catch (SqliteException error)
        {
            database.Dispose();
            throw Translate(error, path);
        }
        catch
        {
            database.Dispose();
            throw;
        }
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
            Run("COMMIT");
            _inTransaction = false;
            Committed?.Invoke(durable);
            return result;
        }
        catch (SqliteException error)
        {
            throw Translate(error, _connection.DataSource);
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
        catch (SqliteException error)
        {
            throw Translate(error, _connection.DataSource);
        }
        finally
        {
            End();
        }
    }

    /// <summary>Runs a statement and returns the number of rows it changed.</summary>
    public int Execute(string sql, params object?[] values)
    {
        var command = Bind(sql, values);
        return Guard(command.ExecuteNonQuery);
    }

    /// <summary>Runs an INSERT and returns the new row's number.</summary>
    public long Insert(string sql, params object?[] values)
    {
        Execute(sql, values);
        return Scalar<long>("SELECT last_insert_rowid()");
    }

    /// <summary>The first column of the first row, or the type's default when there is none.</summary>
    public T? Scalar<T>(string sql, params object?[] values)
    {
        var command = Bind(sql, values);
        object? value = Guard(command.ExecuteScalar);
        return value is null or DBNull ? default : (T)value;
    }

    /// <summary>All rows of a query.</summary>
    public List<T> Query<T>(string sql, Func<RowReader, T> map, params object?[] values) => QueryAny(sql, reader => map(new RowReader(reader)), values);

    /// <summary>All rows of a query whose columns the caller does not know.</summary>
    public List<T> QueryAny<T>(string sql, Func<SqliteDataReader, T> map, params object?[] values)
    {
        var command = Bind(sql, values);
        return Guard(() =>
        {
            var rows = new List<T>();
            using var reader = command.ExecuteReader();
            while (reader.Read()) rows.Add(map(reader));
            return rows;
        });
    }

    /// <summary>The first row of a query, or null.</summary>
    public T? Single<T>(string sql, Func<RowReader, T> map, params object?[] values) where T : class =>
        Query(sql, map, values).FirstOrDefault();

    /// <summary>What SQLite finds wrong with its file, or null.</summary>
    public string? Damage()
    {
        try
        {
            string? found = Scalar<string>("PRAGMA quick_check(1)");
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
        foreach (var command in _commands.Values) command.Dispose();
        _connection.Dispose();
    }

    private void Begin(string statement)
    {
        Run(statement);
        _inTransaction = true;
    }

    /// <summary>Takes back what was not committed. SQLite may have done so itself, when the disk was full; SqliteTransaction does not look and fails then.</summary>
    private void End()
    {
        if (!_inTransaction) return;
        _inTransaction = false;
        if (raw.sqlite3_get_autocommit(_connection.Handle) == 0) Run("ROLLBACK");
    }

    private void Pragma(string pragma) => Run("PRAGMA " + pragma);

    private void Run(string statement)
    {
        using var command = _connection.CreateCommand();
        command.CommandText = statement;
        command.ExecuteNonQuery();
    }

    private SqliteCommand Bind(string sql, object?[] values)
    {
        if (!_commands.TryGetValue(sql, out var command))
        {
            command = _connection.CreateCommand();
            command.CommandText = sql;
            for (int i = 0; i < values.Length; i++) command.Parameters.Add(new SqliteParameter(string.Create(CultureInfo.InvariantCulture, $"?{i + 1}"), null));
            _commands.Add(sql, command);
        }
        for (int i = 0; i < values.Length; i++) command.Parameters[i].Value = ToDatabase(values[i]);
        return command;
    }

    private static object ToDatabase(object? value) => value switch
    {
        null => DBNull.Value,
        Guid id => id.ToString("N"),
        DateTimeOffset time => time.UtcTicks,
        TimeSpan span => span.Ticks,
        Enum choice => Convert.ToInt64(choice, CultureInfo.InvariantCulture),
        bool flag => flag ? 1L : 0L,
        _ => value,
    };

    private T Guard<T>(Func<T> call)
    {
        try
        {
            return call();
        }
        catch (SqliteException error)
        {
            throw Translate(error, _connection.DataSource);
        }
    }

    private static SnapshotException Translate(SqliteException error, string path) => error.SqliteErrorCode switch
    {
        5 or 6 => new SnapshotException(ErrorIds.CatalogBusy, ErrorKind.Busy,   // SQLITE_BUSY, SQLITE_LOCKED
            $"The catalog '{path}' was locked by another process for more than {BusyTimeoutMilliseconds / 1000} seconds. Try again.", path, cause: error),
        11 or 26 => new SnapshotException(ErrorIds.CatalogDamaged, ErrorKind.Damaged,   // SQLITE_CORRUPT, SQLITE_NOTADB
            $"The catalog '{path}' is damaged ({error.Message}). The layers are not affected. Rebuild it: Repair-SnapshotStore", path, cause: error),
        13 or 10 when error.SqliteErrorCode == 13 || error.SqliteExtendedErrorCode == NoRoomForSharedMemory => new SnapshotException(ErrorIds.NotEnoughSpace, ErrorKind.NoSpace,   // SQLITE_FULL, SQLITE_IOERR
            $"There is no space left for the catalog '{path}'. Nothing was changed. Free some space and try again.", path, cause: error),
        _ => new SnapshotException(ErrorIds.StoreIoFailed, ErrorKind.Failed, $"The catalog '{path}' cannot be read or written: {error.Message.TrimEnd('.')} (SQLite code {error.SqliteExtendedErrorCode}). See to the disk, then run Test-SnapshotStore.", path, cause: error),
    };
}
