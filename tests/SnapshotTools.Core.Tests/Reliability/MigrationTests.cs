using System.Globalization;
using SnapshotTools.Core.Catalog;
using SnapshotTools.Embedded;

namespace SnapshotTools.Core.Tests.Reliability;

/// <summary>
/// A catalog of each earlier version is brought up to date when its store is opened, with nothing lost. A migration is one transaction, so a
/// process that is killed between two leaves one of these versions.
/// </summary>
public sealed class MigrationTests : IDisposable
{
    /// <summary>What takes back each migration, the second first; the first made the catalog.</summary>
    private static readonly string[] Backwards =
    [
        "DROP TABLE copy; ALTER TABLE operation DROP COLUMN rate; ALTER TABLE operation DROP COLUMN wanted",
        "ALTER TABLE vm DROP COLUMN is_template; ALTER TABLE volume DROP COLUMN is_removed",
        "DROP TABLE connected",
        LedgerTables.DropTriggers(LedgerTables.First) + "DROP TABLE unwritten",
        "DROP TABLE firmware",
        "ALTER TABLE vm DROP COLUMN generation",
        "DROP INDEX volume_removed",
        LedgerTables.DropTriggers(LedgerTables.Second),
        "DROP INDEX operation_open; CREATE INDEX operation_open ON operation(state) WHERE state IN (0, 1, 2)",
        "DROP TABLE pending; ALTER TABLE layer RENAME COLUMN was_operation_id TO operation_id; CREATE INDEX layer_pending ON layer(operation_id) WHERE state = 0",
        LedgerTables.DropTriggers(LedgerTables.All)
            + "DROP TABLE unwritten; CREATE TABLE unwritten(tab TEXT NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY(tab, key)) WITHOUT ROWID;"
            + CountingTriggers(),
    ];

    private readonly StoreScenario _scenario = new();

    public static TheoryData<int> Versions => [.. Enumerable.Range(1, Schema.Version - 1)];

    public void Dispose() => _scenario.Dispose();

    [Theory]
    [MemberData(nameof(Versions))]
    public void A_catalog_of_an_earlier_version_is_brought_up_to_date(int version)
    {
        string store = _scenario.Copy();
        using (var engine = EmbeddedStore.Open(store)) StoreScenario.Do(engine, "remove, flattening");   // the first versions had no templates
        string catalog = Path.Combine(store, "catalog.sqlite");
        if (version < 6) StoreScenario.Execute(catalog, "INSERT INTO garbage SELECT location FROM firmware; DELETE FROM firmware");   // nor firmware
        string before = StoreScenario.StateOf(store);
        Downgrade(catalog, version);
        File.Delete(Path.Combine(store, "catalog.ledger"));

        using (var engine = EmbeddedStore.Open(store))
        {
            Assert.Equal(before, StoreScenario.StateOf(engine));
            StoreScenario.Do(engine, ["snapshot", "linked clones", "template", "remove volume"]);
            StoreScenario.AssertClean(engine);
            before = StoreScenario.StateOf(engine);
        }

        // Its ledger has what was there before the migration.
        File.Delete(catalog);
        EmbeddedStore.Repair(store).Run();
        Assert.Equal(before, StoreScenario.StateOf(store));
    }

    [Fact]
    public void A_catalog_of_a_later_version_is_refused_and_left_as_it_is()
    {
        string store = _scenario.Copy(), catalog = Path.Combine(store, "catalog.sqlite");
        StoreScenario.Execute(catalog, string.Create(CultureInfo.InvariantCulture, $"PRAGMA user_version={Schema.Version + 1}; PRAGMA wal_checkpoint(TRUNCATE)"));
        byte[] before = File.ReadAllBytes(catalog);

        Assert.Equal(ErrorIds.CatalogTooNew, Assert.Throws<SnapshotException>(() => EmbeddedStore.Open(store).Dispose()).ErrorId);
        Assert.Equal(before, File.ReadAllBytes(catalog));
    }

    [Fact]
    public void What_an_earlier_version_was_making_when_it_was_killed_is_taken_back()
    {
        string store = _scenario.Copy(), catalog = Path.Combine(store, "catalog.sqlite"), location = "layers/0123456789abcdef0123456789abcdef.qcow2";
        string before = StoreScenario.StateOf(store);
        Downgrade(catalog, 10);
        StoreScenario.Execute(catalog, $"""
            INSERT INTO operation(id, uid, kind, target, state, started_at, process_id) VALUES(9999, 'fedcba9876543210fedcba9876543210', 0, 'web01/cut', 1, 0, 1);
            INSERT INTO layer(uid, parent_id, operation_id, location, format, state, size, created_at)
              SELECT '0123456789abcdef0123456789abcdef', id, 9999, '{location}', 1, 0, size, 0 FROM layer WHERE state = 2 LIMIT 1;
            """);
        string file = Path.Combine(store, location);
        File.WriteAllText(file, "cut short");

        Assert.Equal(before, StoreScenario.StateOf(store));
        Assert.False(File.Exists(file));
        using var engine = EmbeddedStore.Open(store);
        Assert.Equal(OperationState.Interrupted, engine.Operations.Find().Single(o => o.Target == "web01/cut").State);
        StoreScenario.AssertClean(engine);

        // Its session, should it be alive nevertheless, cannot commit any more.
        Assert.ThrowsAny<Exception>(() => StoreScenario.Execute(catalog, "UPDATE layer SET state = 1, operation_id = NULL WHERE id = 1"));
    }

    private static void Downgrade(string catalog, int version)
    {
        Assert.Equal(Schema.Version - 1, Backwards.Length);
        for (int from = Schema.Version; from > version; from--) StoreScenario.Execute(catalog, Backwards[from - 2]);
        StoreScenario.Execute(catalog, string.Create(CultureInfo.InvariantCulture, $"PRAGMA user_version={version}"));
    }

    private static string CountingTriggers() => string.Concat(
        from table in LedgerTables.All
        from trigger in (IEnumerable<(string Verb, string Row)>)[("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")]
        let key = LedgerTables.KeyOf(table.Key, trigger.Row)
        select $"CREATE TRIGGER ledger_{table.Name}_{trigger.Verb} AFTER {trigger.Verb} ON {table.Name} BEGIN INSERT INTO unwritten VALUES('{table.Name}', {key}, 1) ON CONFLICT DO UPDATE SET version = version + 1; END;");
}
