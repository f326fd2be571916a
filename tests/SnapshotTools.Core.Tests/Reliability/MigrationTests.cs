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
        DropTriggers(LedgerTables.First) + "DROP TABLE unwritten",
        "DROP TABLE firmware",
        "ALTER TABLE vm DROP COLUMN generation",
        "DROP INDEX volume_removed",
        DropTriggers(LedgerTables.Second),
        "DROP INDEX operation_open; CREATE INDEX operation_open ON operation(state) WHERE state IN (0, 1, 2)",
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
        string before = StoreScenario.StateOf(store);
        Downgrade(Path.Combine(store, "catalog.sqlite"), version);
        File.Delete(Path.Combine(store, "catalog.ledger"));

        using (var engine = EmbeddedStore.Open(store))
        {
            Assert.Equal(before, StoreScenario.StateOf(engine));
            StoreScenario.Do(engine, ["snapshot", "linked clones", "template", "remove volume"]);
            StoreScenario.AssertClean(engine);
            before = StoreScenario.StateOf(engine);
        }

        // Its ledger has what was there before the migration.
        File.Delete(Path.Combine(store, "catalog.sqlite"));
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

    private static void Downgrade(string catalog, int version)
    {
        Assert.Equal(Schema.Version - 1, Backwards.Length);
        for (int from = Schema.Version; from > version; from--) StoreScenario.Execute(catalog, Backwards[from - 2]);
        StoreScenario.Execute(catalog, string.Create(CultureInfo.InvariantCulture, $"PRAGMA user_version={version}"));
    }

    private static string DropTriggers(IEnumerable<LedgerTable> tables) =>
        string.Concat(tables.Select(t => $"DROP TRIGGER ledger_{t.Name}_INSERT; DROP TRIGGER ledger_{t.Name}_UPDATE; DROP TRIGGER ledger_{t.Name}_DELETE;"));
}
