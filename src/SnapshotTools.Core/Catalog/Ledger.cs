using SnapshotTools.Core.Engine;
using SnapshotTools.IO;

namespace SnapshotTools.Core.Catalog;

/// <summary>
/// A second record of the catalog beside it: a plain file that each change is added to after its commit, so that a lost catalog is
/// rebuilt with every name, tag, time and definition. Triggers note the changed rows in the same transaction, so what a
/// killed process did not add is added by the next one.
/// </summary>
/// <remarks>
/// While operations follow each other closely it is added to once a second, and when the store is closed. An addition is not waited
/// for to be durable, since after a power cut the catalog is there, and the whole ledger is written anew from it when the store is
/// opened in a new boot.
/// </remarks>
internal sealed class Ledger(Database database, IFileSystem files, StoreLocks locks, string path)
{
    private const long FreeBytes = 1 << 20;
    private const long BytesPerRow = 2000;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly Lag _lag = new();

    /// <summary>Whether something was not added yet.</summary>
    public bool IsBehind => files.Stat(path) is null || database.Number("SELECT EXISTS(SELECT 1 FROM unwritten)") != 0;

    /// <summary>Adds what changed, unless that was done less than a second ago.</summary>
    public void SaveNowAndThen()
    {
        if (!_lag.IsDue) return;
        Save();
        _lag.Reset();
    }

    /// <summary>Adds what changed; with <paramref name="whole"/> it is all written anew. A failure is no one's concern now: the next change, or
    /// opening, tries again.</summary>
    public void Save(bool whole = false)
    {
        try
        {
            if (!whole && !IsBehind) return;
            using var mine = Wait();
            if (mine is null) return;
            var (last, changed) = database.Read(() => (
                database.Number("SELECT max(id) FROM unwritten"), database.Query("SELECT DISTINCT tab, key FROM unwritten", r => new Change(r.GetString(0), r.GetString(1)))));
            if (whole || files.Stat(path) is null || !Append(changed)) WriteWhole();
            database.Write(() => database.Execute("DELETE FROM unwritten WHERE id <= ?1", last), durable: false);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or SnapshotException)
        {
            // The rows stay noted.
        }
    }

    private IDisposable? Wait()
    {
        for (long end = Environment.TickCount64 + (long)Patience.TotalMilliseconds; ; Thread.Sleep(5))
        {
            if (locks.TryAcquire(LockKey.Ledger) is { } mine) return mine;
            if (Environment.TickCount64 > end) return null;
        }
    }

    /// <summary>Whether most of the file is of rows that changed since. Counting them takes as long as there are many, so it is asked once in a while.</summary>
    private bool IsOvergrown(long length) =>
        length > BytesPerRow * LedgerTables.All.Sum(t => database.Number($"SELECT count(*) FROM {t.Name}"));

    /// <returns>False when it is time to write the ledger anew.</returns>
    private bool Append(List<Change> changed)
    {
        byte[] lines = database.Read(() => Lines(changed.GroupBy(c => c.Table).SelectMany(t => RowsOf(t.Key, [.. t.Select(c => c.Key)]))));
        using var file = files.Open(path, FileOpenMode.ReadWrite);
        long end = file.Length;
        byte[] last = new byte[1];
        // A line that a killed process cut short ends here, and is left out by its sum.
        bool isCut = end > 0 && file.Read(end - 1, last) == 1 && last[0] != (byte)'\n';
        file.Write(end, isCut ? [(byte)'\n', .. lines] : lines);
        file.BeginFlush(end, lines.Length);
        long length = end + lines.Length;
        return end / FreeBytes == length / FreeBytes || !IsOvergrown(length);
    }

    private void WriteWhole()
    {
        byte[] lines = database.Read(() => Lines(LedgerTables.All.SelectMany(t => Rows(t.Name, t.Key))));
        string making = path + ".new";
        if (files.Stat(making) is not null) files.Delete(making);
        using (var file = files.Create(making))
        {
            file.Write(0, lines);
            file.Flush();
        }
        files.Rename(making, path);
        files.SyncDirectory(Path.GetDirectoryName(path)!);
    }

    private static byte[] Lines(IEnumerable<LedgerRow> rows)
    {
        using var all = new MemoryStream();
        foreach (var row in rows) all.Write(LedgerFile.Line(row));
        return all.ToArray();
    }

    /// <summary>The rows of a table that have these keys, and those that are gone.</summary>
    private IEnumerable<LedgerRow> RowsOf(string table, string[] keys)
    {
        string expression = LedgerTables.All.First(t => t.Name == table).Key;
        string key = expression.Contains("||", StringComparison.Ordinal) ? "value" : "CAST(value AS INTEGER)";
        var found = Rows(table, expression, $" WHERE {LedgerTables.KeyOf(expression, "t")} IN (SELECT {key} FROM json_each(?1))", Json.Write(keys)).ToDictionary(r => r.Key);
        return keys.Select(k => found.TryGetValue(k, out var row) ? row : new LedgerRow(table, k, null));
    }

    private List<LedgerRow> Rows(string table, string expression, string condition = "", params ReadOnlySpan<object?> values) =>
        database.Query($"SELECT {LedgerTables.KeyOf(expression, "t")} AS ledger_key, t.* FROM {table} t{condition}", r => new LedgerRow(table, r.GetString(0), ValuesOf(r)), values);

    private static Dictionary<string, object?> ValuesOf(RowReader r)
    {
        var values = new Dictionary<string, object?>();
        for (int i = 0; i < r.Count; i++)
            if (r.Name(i) is not "ledger_key" and var name) values[name] = r.Value(i);
        return values;
    }

    /// <summary>A row that changed.</summary>
    private sealed record Change(string Table, string Key);
}
