using System.Buffers.Text;
using System.Globalization;
using System.Text;

namespace SnapshotTools.Core.Catalog;

/// <summary>
/// A statement that was prepared once and is run again and again. It goes to SQLite directly: an operation runs some fifty, and the general
/// way costs as much for each as SQLite itself.
/// </summary>
internal sealed unsafe class Statement : IDisposable
{
    private const int StackBytes = 512;
    private readonly nint _database;
    private nint _handle;

    private Statement(nint database, nint handle) => (_database, _handle) = (database, handle);

    /// <summary>The row that it stands on.</summary>
    public RowReader Row => new(_handle);

    /// <summary>Prepares a statement.</summary>
    public static Statement Prepare(nint database, string sql)
    {
        byte[] text = Encoding.UTF8.GetBytes(sql);
        int end = 0;
        return PrepareNext(database, text, ref end, Sqlite3.Persistent) is { } statement && IsBlank(text.AsSpan(end)) ? statement
            : throw new ArgumentException($"Not one statement: {sql}", nameof(sql));
    }

    /// <summary>Runs the statements of a text one after the other.</summary>
    public static void RunAll(nint database, string sql)
    {
        byte[] text = Encoding.UTF8.GetBytes(sql);
        for (int start = 0; start < text.Length;)
        {
            // Not before those in front of it were run: it may be about a table that they make.
            using var statement = PrepareNext(database, text, ref start);
            while (statement?.Step() == true)
            {
                // What a pragma answers was not asked for.
            }
        }
    }

    /// <summary>Gives the parameters ?1, ?2 … their values.</summary>
    public void Bind(ReadOnlySpan<object?> values)
    {
        for (int i = 0; i < values.Length; i++) Check(Bind(i + 1, values[i]));
    }

    /// <summary>Goes to the next row; false when there is none.</summary>
    public bool Step()
    {
        int result = Sqlite3.Step(_handle);
        if (result == Sqlite3.Row) return true;
        if (result != Sqlite3.Done) throw SqliteFailure.Last(_database);
        return false;
    }

    /// <summary>Ends the run, so that it can be run again. A failure was told by <see cref="Step"/>.</summary>
    public void Reset() => _ = Sqlite3.Reset(_handle);

    public void Dispose()
    {
        _ = Sqlite3.Close(_handle);
        _handle = 0;
    }

    private static bool IsBlank(ReadOnlySpan<byte> text)
    {
        foreach (byte letter in text)
            if (letter is not ((byte)' ' or (byte)';' or (byte)'\n')) return false;
        return true;
    }

    private static Statement? PrepareNext(nint database, byte[] text, ref int start, uint flags = 0)
    {
        fixed (byte* first = text)
        {
            int result = Sqlite3.Prepare(database, first + start, text.Length - start, flags, out nint handle, out byte* rest);
            if (result != Sqlite3.Ok) throw SqliteFailure.Last(database);
            start = (int)(rest - first);
            return handle == 0 ? null : new Statement(database, handle);   // white space or a comment
        }
    }

    private int Bind(int index, object? value) => value switch
    {
        null => Sqlite3.BindNull(_handle, index),
        string text => BindText(index, text),
        long number => Sqlite3.BindInt64(_handle, index, number),
        int number => Sqlite3.BindInt64(_handle, index, number),
        bool flag => Sqlite3.BindInt64(_handle, index, flag ? 1 : 0),
        Guid id => BindId(index, id),
        DateTimeOffset time => Sqlite3.BindInt64(_handle, index, time.UtcTicks),
        TimeSpan span => Sqlite3.BindInt64(_handle, index, span.Ticks),
        Enum choice => Sqlite3.BindInt64(_handle, index, ((IConvertible)choice).ToInt64(CultureInfo.InvariantCulture)),
        _ => throw new ArgumentException($"The catalog has no form for a {value.GetType()}.", nameof(value)),
    };

    private int BindText(int index, string text)
    {
        int most = Encoding.UTF8.GetMaxByteCount(text.Length);
        Span<byte> bytes = most <= StackBytes ? stackalloc byte[StackBytes] : new byte[most];
        return BindText(index, bytes, Encoding.UTF8.GetBytes(text, bytes));
    }

    private int BindId(int index, Guid id)
    {
        Span<byte> bytes = stackalloc byte[32];
        Utf8Formatter.TryFormat(id, bytes, out int count, 'N');
        return BindText(index, bytes, count);
    }

    private int BindText(int index, ReadOnlySpan<byte> bytes, int count)
    {
        fixed (byte* start = bytes) return Sqlite3.BindText(_handle, index, start, count, Sqlite3.Transient);
    }

    private void Check(int result)
    {
        if (result != Sqlite3.Ok) throw SqliteFailure.Last(_database);
    }
}

/// <summary>What SQLite says of a call that failed.</summary>
internal sealed class SqliteFailure(int code, string message) : Exception($"SQLite Error {code & 0xff}: '{message}'.")
{
    /// <summary>The extended result code.</summary>
    public int Code { get; } = code;

    /// <summary>That of a connection's last call.</summary>
    public static unsafe SqliteFailure Last(nint database) =>
        new(Sqlite3.LastError(database), System.Runtime.InteropServices.Marshal.PtrToStringUTF8((nint)Sqlite3.LastMessage(database)) ?? "");
}
