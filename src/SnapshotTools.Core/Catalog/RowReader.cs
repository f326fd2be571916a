using System.Buffers.Text;
using System.Runtime.InteropServices;
using System.Text;

namespace SnapshotTools.Core.Catalog;

/// <summary>
/// The columns of the row that a statement stands on, straight from SQLite: a list of 20,000 snapshots is a million columns. Valid until the
/// statement's next step.
/// </summary>
internal readonly unsafe struct RowReader(nint statement)
{
    /// <summary>How many columns there are.</summary>
    public int Count => Sqlite3.ColumnCount(statement);

    public string Name(int column) => Marshal.PtrToStringUTF8((nint)Sqlite3.ColumnName(statement, column))!;

    public long GetInt64(int column) => Sqlite3.ColumnInt64(statement, column);

    public int GetInt32(int column) => checked((int)GetInt64(column));

    public bool IsNull(int column) => Sqlite3.ColumnType(statement, column) == Sqlite3.NullType;

    public string GetString(int column) => Encoding.UTF8.GetString(Bytes(column));

    /// <summary>An id, which is written as 32 hex digits.</summary>
    public Guid Id(int column)
    {
        var text = Bytes(column);
        return Utf8Parser.TryParse(text, out Guid id, out int used, 'N') && used == text.Length ? id
            : throw new FormatException($"The catalog has '{Engine.Names.Shown(Encoding.UTF8.GetString(text))}' where an id should be.");
    }

    /// <summary>A snapshot's tags, a list in JSON; the most have none.</summary>
    public string Tags(int column) => Bytes(column) is var text && text.SequenceEqual("[]"u8) ? "[]" : Encoding.UTF8.GetString(text);

    public long? Long(int column) => IsNull(column) ? null : GetInt64(column);

    public string? Text(int column) => IsNull(column) ? null : GetString(column);

    public DateTimeOffset? Time(int column) => IsNull(column) ? null : new DateTimeOffset(GetInt64(column), TimeSpan.Zero);

    /// <summary>A column of whatever type: null, a <see cref="long"/> or a <see cref="string"/>, which is all that the catalog has.</summary>
    public object? Value(int column) => Sqlite3.ColumnType(statement, column) switch
    {
        Sqlite3.NullType => null,
        Sqlite3.IntegerType => GetInt64(column),
        _ => GetString(column),
    };

    private ReadOnlySpan<byte> Bytes(int column)
    {
        // The text first: asking for it may convert the value, and with it its length.
        byte* text = Sqlite3.ColumnText(statement, column);
        return text is null ? [] : new ReadOnlySpan<byte>(text, Sqlite3.ColumnBytes(statement, column));
    }
}
