using System.Globalization;
using System.Text.RegularExpressions;
using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Tests;

/// <summary>No operation on one VM waits longer because the store has many: none of its statements goes through a whole table.</summary>
public sealed partial class QueryPlanTests : IDisposable
{
    // Some 28 pages of 2 KiB; they were 31 of 4 KiB.
    private const long MostLogBytes = 70_000;

    private readonly TestStore _store = new();

    public void Dispose() => _store.Dispose();

    [Fact]
    public void No_statement_of_an_operation_scans_a_table_that_grows()
    {
        _store.NewVm("web01", "os", "data");
        _store.Reopen();
        _store.Snapshot("web01", "one");
        _store.Snapshot("web01", "two");
        _store.Restore("web01", "one", keepBackup: true);
        _store.Remove("web01", "two");
        _store.Engine.Volumes.Clone(new CloneRequest { Sources = [new CloneSource("os", null, "os2")], Linked = true }).Run();
        _store.Engine.Snapshots.Find(new SnapshotQuery { Vms = ["web01"] });
        var database = _store.Engine.Context.Database;

        var scans = database.Statements.ToList().SelectMany(sql => PlanOf(database, sql).Where(p => Scan().IsMatch(p)).Select(p => $"{p}: {sql}")).ToList();

        Assert.True(database.Statements.Count > 50, $"only {database.Statements.Count} statements were run");
        Assert.Empty(scans);
    }

    [Fact]
    public void A_snapshot_writes_little_to_the_catalogs_log()
    {
        _store.NewVm("web01", "os");
        _store.Reopen();
        _store.Snapshot("web01", "zero");
        var log = new FileInfo(Path.Combine(_store.Directory, "catalog.sqlite-wal"));
        long Length()
        {
            log.Refresh();
            return log.Length;
        }

        // The least of several: now and then the ledger follows, or a tree gets a page more.
        long least = Enumerable.Range(0, 5).Min(n =>
        {
            long before = Length();
            _store.Snapshot("web01", $"s{n}");
            return Length() - before;
        });

        Assert.InRange(least, 1, MostLogBytes);
    }

    /// <summary>A scan of a partial index is one of the few rows that it has.</summary>
    [GeneratedRegex(@"SCAN (?!.*USING (COVERING )?INDEX (operation_open|volume_removed))(o|l|c|s|v|m|operation|layer|volume_snapshot|vm_snapshot|volume|vm|attachment)\b")]
    private static partial Regex Scan();

    private static List<string> PlanOf(Database database, string sql)
    {
        int parameters = Regex.Matches(sql, @"\?(\d+)").Select(m => int.Parse(m.Groups[1].Value, CultureInfo.InvariantCulture)).DefaultIfEmpty(0).Max();
        return sql.StartsWith("PRAGMA", StringComparison.Ordinal) ? []
            : database.Query("EXPLAIN QUERY PLAN " + sql, r => r.GetString(3), new object?[parameters]);
    }
}
