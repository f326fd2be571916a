using System.Runtime.InteropServices;

namespace SnapshotTools.Core.Catalog;

/// <summary>The calls to SQLite that the catalog needs, with nothing between; see <see cref="NativeSqlite"/> for the library.</summary>
internal static unsafe partial class Sqlite3
{
    public const int Ok = 0, Row = 100, Done = 101;
    public const int IntegerType = 1, NullType = 5;

    /// <summary>For open: to read and write a file that is there.</summary>
    public const int ReadWrite = 2;

    /// <summary>For prepare: the statement is going to be used often.</summary>
    public const uint Persistent = 1;

    /// <summary>For what is bound: SQLite takes a copy of it.</summary>
    public const nint Transient = -1;

    public const string Library = "e_sqlite3";

    [LibraryImport(Library, EntryPoint = "sqlite3_open_v2")]
    public static partial int Open(byte* path, out nint database, int flags, byte* system);

    [LibraryImport(Library, EntryPoint = "sqlite3_close_v2")]
    public static partial int CloseConnection(nint database);

    [LibraryImport(Library, EntryPoint = "sqlite3_prepare_v3")]
    public static partial int Prepare(nint database, byte* sql, int count, uint flags, out nint statement, out byte* rest);

    [LibraryImport(Library, EntryPoint = "sqlite3_finalize")]
    public static partial int Close(nint statement);

    [LibraryImport(Library, EntryPoint = "sqlite3_step")]
    public static partial int Step(nint statement);

    [LibraryImport(Library, EntryPoint = "sqlite3_reset")]
    public static partial int Reset(nint statement);

    [LibraryImport(Library, EntryPoint = "sqlite3_extended_errcode")]
    public static partial int LastError(nint database);

    [LibraryImport(Library, EntryPoint = "sqlite3_errmsg")]
    public static partial byte* LastMessage(nint database);

    // These look at or change what is in memory already, and return at once.
    [LibraryImport(Library, EntryPoint = "sqlite3_bind_int64"), SuppressGCTransition]
    public static partial int BindInt64(nint statement, int index, long value);

    [LibraryImport(Library, EntryPoint = "sqlite3_bind_null"), SuppressGCTransition]
    public static partial int BindNull(nint statement, int index);

    [LibraryImport(Library, EntryPoint = "sqlite3_bind_text"), SuppressGCTransition]
    public static partial int BindText(nint statement, int index, byte* value, int count, nint destructor);

    [LibraryImport(Library, EntryPoint = "sqlite3_changes"), SuppressGCTransition]
    public static partial int Changes(nint database);

    [LibraryImport(Library, EntryPoint = "sqlite3_last_insert_rowid"), SuppressGCTransition]
    public static partial long LastInsertRowId(nint database);

    [LibraryImport(Library, EntryPoint = "sqlite3_get_autocommit"), SuppressGCTransition]
    public static partial int GetAutoCommit(nint database);

    [LibraryImport(Library, EntryPoint = "sqlite3_column_count"), SuppressGCTransition]
    public static partial int ColumnCount(nint statement);

    [LibraryImport(Library, EntryPoint = "sqlite3_column_name"), SuppressGCTransition]
    public static partial byte* ColumnName(nint statement, int column);

    [LibraryImport(Library, EntryPoint = "sqlite3_column_type"), SuppressGCTransition]
    public static partial int ColumnType(nint statement, int column);

    [LibraryImport(Library, EntryPoint = "sqlite3_column_int64"), SuppressGCTransition]
    public static partial long ColumnInt64(nint statement, int column);

    [LibraryImport(Library, EntryPoint = "sqlite3_column_text"), SuppressGCTransition]
    public static partial byte* ColumnText(nint statement, int column);

    [LibraryImport(Library, EntryPoint = "sqlite3_column_bytes"), SuppressGCTransition]
    public static partial int ColumnBytes(nint statement, int column);
}
