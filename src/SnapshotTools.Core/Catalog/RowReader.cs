using System.Buffers.Text;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Data.Sqlite;

namespace SnapshotTools.Core.Catalog;

/// <summary>
/// The columns of the row that a reader stands on, straight from SQLite: a list of 20,000 snapshots is a million columns, and the
/// general way would take ten times as long for each. Valid as long as the reader.
/// </summary>
internal readonly unsafe partial struct RowReader
{
    private const string Library = "e_sqlite3";
    private const int NullType = 5;

    private readonly nint _statement;

    public RowReader(SqliteDataReader reader) => _statement = reader.Handle?.DangerousGetHandle() ?? 0;

    public long GetInt64(int column) => ColumnInt64(_statement, column);

    public int GetInt32(int column) => checked((int)ColumnInt64(_statement, column));

    public bool IsNull(int column) => ColumnType(_statement, column) == NullType;

    public string GetString(int column) => Encoding.UTF8.GetString(Bytes(column));

    /// <summary>An id, which is written as 32 hex digits.</summary>
    public Guid Id(int column)
    {
        var text = Bytes(column);
        return Utf8Parser.TryParse(text, out Guid id, out int used, 'N') && used == text.Length ? id
            : throw new FormatException($"The catalog has '{Engine.Names.Shown(Encoding.UTF8.GetString(text))}' where an id should be.");
    }

    public long? Long(int column) => IsNull(column) ? null : GetInt64(column);

    public string? Text(int column) => IsNull(column) ? null : GetString(column);

    public DateTimeOffset? Time(int column) => IsNull(column) ? null : new DateTimeOffset(GetInt64(column), TimeSpan.Zero);

    private ReadOnlySpan<byte> Bytes(int column)
    {
        // The text first: asking for it may convert the value, and with it its length.
        byte* text = ColumnText(_statement, column);
        return text is null ? [] : new ReadOnlySpan<byte>(text, ColumnBytes(_statement, column));
    }

    // They read what is in memory already and return at once.
    [LibraryImport(Library, EntryPoint = "sqlite3_column_int64"), SuppressGCTransition]
    private static partial long ColumnInt64(nint statement, int column);

    [LibraryImport(Library, EntryPoint = "sqlite3_column_type"), SuppressGCTransition]
    private static partial int ColumnType(nint statement, int column);

    [LibraryImport(Library, EntryPoint = "sqlite3_column_text"), SuppressGCTransition]
    private static partial byte* ColumnText(nint statement, int column);

    [LibraryImport(Library, EntryPoint = "sqlite3_column_bytes"), SuppressGCTransition]
    private static partial int ColumnBytes(nint statement, int column);
}
