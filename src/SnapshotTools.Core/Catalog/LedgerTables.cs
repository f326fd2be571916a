using System.Globalization;
using System.Text;

namespace SnapshotTools.Core.Catalog;

/// <summary>A table that the ledger repeats.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Key">The expression that names a row of it; {0} stands for the row.</param>
internal sealed record LedgerTable(string Name, string Key);

/// <summary>The tables whose rows the ledger repeats: all that cannot be found out again from anything else.</summary>
internal static class LedgerTables
{
    /// <summary>The tables of the first version of the ledger, each before those that refer to it, with what names a row of it.</summary>
    public static readonly IReadOnlyList<LedgerTable> First =
    [
        new("store", "{0}.id"),
        new("vm", "{0}.id"),
        new("volume", "{0}.id"),
        new("layer", "{0}.id"),
        new("attachment", "{0}.vm_id || ':' || {0}.volume_id"),
        new("vm_snapshot", "{0}.id"),
        new("volume_snapshot", "{0}.id"),
    ];

    /// <summary>Those that came later.</summary>
    public static readonly IReadOnlyList<LedgerTable> Second = [new("firmware", "{0}.rowid"), new("connected", "{0}.vm_id")];

    /// <summary>All tables, each before those that refer to it.</summary>
    public static readonly IReadOnlyList<LedgerTable> All = [.. First, .. Second];

    /// <summary>The table where triggers note the rows that changed.</summary>
    /// <remarks>A row that changes again is noted again: looking for it would take longer.</remarks>
    public const string Unwritten = "CREATE TABLE unwritten(id INTEGER PRIMARY KEY, tab TEXT NOT NULL, key TEXT NOT NULL);\n";

    /// <summary>Takes the triggers of some tables away.</summary>
    public static string DropTriggers(IEnumerable<LedgerTable> tables) =>
        string.Concat(tables.Select(t => $"DROP TRIGGER ledger_{t.Name}_INSERT; DROP TRIGGER ledger_{t.Name}_UPDATE; DROP TRIGGER ledger_{t.Name}_DELETE;\n"));

    /// <summary>Makes the table of notes and all triggers anew, where some tables have theirs; all rows are noted.</summary>
    public static string BeginAnew(IEnumerable<LedgerTable> present) => DropTriggers(present) + "DROP TABLE unwritten;\n" + Unwritten + Triggers(All);

    /// <summary>The expression that names a row.</summary>
    public static string KeyOf(string key, string alias) => string.Format(CultureInfo.InvariantCulture, key, alias);

    /// <summary>Triggers that note which rows changed, in the transaction that changes them, so that no command has to think of it.</summary>
    public static string Triggers(IEnumerable<LedgerTable> tables)
    {
        var sql = new StringBuilder();
        foreach (var (name, key) in tables)
        {
            foreach (var (verb, alias) in new[] { ("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD") })
            {
                sql.Append(CultureInfo.InvariantCulture, $"""
                    CREATE TRIGGER ledger_{name}_{verb} AFTER {verb} ON {name} BEGIN
                      INSERT INTO unwritten(tab, key) VALUES('{name}', {KeyOf(key, alias)});
                    END;

                    """);
            }
            sql.Append(CultureInfo.InvariantCulture, $"INSERT INTO unwritten(tab, key) SELECT '{name}', {KeyOf(key, "t")} FROM {name} t;\n");
        }
        return sql.ToString();
    }
}
