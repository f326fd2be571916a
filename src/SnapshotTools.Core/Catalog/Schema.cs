using System.Globalization;

namespace SnapshotTools.Core.Catalog;

/// <summary>
/// The tables of the catalog. <c>user_version</c> holds the schema's version; a migration is one entry of
/// <see cref="Migrations"/>, run in a transaction of its own. Times are UTC ticks, ids 32 hex digits.
/// </summary>
internal static class Schema
{
    private static readonly string[] Migrations =
    [
        """
        CREATE TABLE store(id INTEGER PRIMARY KEY CHECK(id = 1), uid TEXT NOT NULL, created_at INTEGER NOT NULL, boot_id TEXT);

        CREATE TABLE operation(
          id INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE, kind INTEGER NOT NULL, target TEXT NOT NULL,
          state INTEGER NOT NULL, bytes_done INTEGER NOT NULL DEFAULT 0, bytes_total INTEGER NOT NULL DEFAULT 0,
          started_at INTEGER NOT NULL, ended_at INTEGER, process_id INTEGER NOT NULL, error TEXT, detail TEXT);
        CREATE INDEX operation_open ON operation(state) WHERE state IN (0, 1, 2);

        CREATE TABLE volume(
          id INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE COLLATE NOCASE,
          size INTEGER NOT NULL, cluster_size INTEGER NOT NULL, head_id INTEGER NOT NULL, present_id INTEGER,
          adopted_from TEXT, description TEXT, created_at INTEGER NOT NULL);

        -- state: 0 pending (made by an operation that did not commit yet), 1 head, 2 frozen
        CREATE TABLE layer(
          id INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE, volume_id INTEGER REFERENCES volume(id),
          parent_id INTEGER REFERENCES layer(id), operation_id INTEGER, location TEXT NOT NULL, format INTEGER NOT NULL,
          external INTEGER NOT NULL DEFAULT 0, state INTEGER NOT NULL, size INTEGER NOT NULL, allocated INTEGER NOT NULL DEFAULT 0,
          length INTEGER NOT NULL DEFAULT 0, modified_at INTEGER, is_merging INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL);
        CREATE INDEX layer_volume ON layer(volume_id);
        CREATE INDEX layer_parent ON layer(parent_id);
        CREATE INDEX layer_pending ON layer(operation_id) WHERE state = 0;

        CREATE TABLE vm(
          id INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE COLLATE NOCASE,
          processors INTEGER NOT NULL, memory INTEGER NOT NULL, adapters TEXT NOT NULL, boot TEXT NOT NULL, description TEXT,
          present_id INTEGER, error TEXT, failed_restore TEXT, suspended_memory TEXT, created_at INTEGER NOT NULL);
        CREATE TABLE attachment(
          vm_id INTEGER NOT NULL REFERENCES vm(id) ON DELETE CASCADE, volume_id INTEGER NOT NULL REFERENCES volume(id),
          position INTEGER NOT NULL, bus INTEGER NOT NULL, boot INTEGER NOT NULL, shared INTEGER NOT NULL,
          PRIMARY KEY(vm_id, volume_id)) WITHOUT ROWID;
        CREATE INDEX attachment_volume ON attachment(volume_id);

        CREATE TABLE vm_snapshot(
          id INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE, vm_id INTEGER NOT NULL REFERENCES vm(id), parent_id INTEGER,
          name TEXT NOT NULL COLLATE NOCASE, created_at INTEGER NOT NULL, description TEXT, tags TEXT NOT NULL, expires_at INTEGER,
          scope INTEGER NOT NULL, consistency INTEGER NOT NULL, is_backup INTEGER NOT NULL DEFAULT 0, pause INTEGER,
          memory TEXT, memory_bytes INTEGER NOT NULL DEFAULT 0, configuration TEXT NOT NULL, UNIQUE(vm_id, name));
        CREATE INDEX vm_snapshot_parent ON vm_snapshot(parent_id);

        CREATE TABLE volume_snapshot(
          id INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE, volume_id INTEGER NOT NULL REFERENCES volume(id), parent_id INTEGER,
          vm_snapshot_id INTEGER, position INTEGER NOT NULL DEFAULT 0, name TEXT NOT NULL COLLATE NOCASE, created_at INTEGER NOT NULL,
          description TEXT, layer_id INTEGER NOT NULL REFERENCES layer(id));
        CREATE INDEX volume_snapshot_volume ON volume_snapshot(volume_id, name);
        CREATE INDEX volume_snapshot_vm ON volume_snapshot(vm_snapshot_id);
        CREATE INDEX volume_snapshot_layer ON volume_snapshot(layer_id);
        CREATE INDEX volume_snapshot_parent ON volume_snapshot(parent_id);

        -- volumes whose stable path may not lead to their head yet, and files that nothing needs any more
        CREATE TABLE unpublished(volume_id INTEGER PRIMARY KEY);
        CREATE TABLE garbage(location TEXT PRIMARY KEY) WITHOUT ROWID;
        """,

        """
        -- wanted: what another session asks the owner of a running operation for (see OperationWish)
        ALTER TABLE operation ADD COLUMN rate INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE operation ADD COLUMN wanted INTEGER NOT NULL DEFAULT 0;

        -- A clone's frozen layer that is to be filled. The data goes into a file of its own (location), which takes the layer's
        -- place when it is complete; all of the disk before copied_to is durable in it.
        CREATE TABLE copy(
          operation_id INTEGER PRIMARY KEY REFERENCES operation(id), batch INTEGER NOT NULL, volume_id INTEGER NOT NULL REFERENCES volume(id),
          layer_id INTEGER NOT NULL UNIQUE REFERENCES layer(id), source_id INTEGER NOT NULL REFERENCES volume(id), location TEXT NOT NULL,
          copied_to INTEGER NOT NULL DEFAULT 0, max_rate INTEGER, max_concurrency INTEGER);
        CREATE INDEX copy_volume ON copy(volume_id);
        CREATE INDEX copy_source ON copy(source_id);
        """,

        """
        -- A template is a VM that is never run and whose volumes are never written. A removed volume is kept, without a head, for the
        -- linked clones that still read its layers.
        ALTER TABLE vm ADD COLUMN is_template INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE volume ADD COLUMN is_removed INTEGER NOT NULL DEFAULT 0;
        """,

        """
        -- machines that someone else started, by where they are reached; names: the layers that they opened under another name
        CREATE TABLE connected(
          vm_id INTEGER PRIMARY KEY REFERENCES vm(id) ON DELETE CASCADE, monitor TEXT NOT NULL, agent TEXT, names TEXT NOT NULL, connected_at INTEGER NOT NULL);
        """,

        LedgerTables.Unwritten + LedgerTables.Triggers(LedgerTables.First),

        """
        -- the firmware's variables of VMs and of their snapshots, each a file of its own
        CREATE TABLE firmware(vm_id INTEGER UNIQUE REFERENCES vm(id) ON DELETE CASCADE, vm_snapshot_id INTEGER UNIQUE, location TEXT NOT NULL);
        """,

        """
        -- what tells a guest that it is another copy of itself; null: the machine has no such device
        ALTER TABLE vm ADD COLUMN generation TEXT;
        """,

        """
        CREATE INDEX volume_removed ON volume(id) WHERE is_removed = 1;
        """,

        // The table of an earlier version of the module had a column that these triggers do not fill.
        LedgerTables.BeginAnew(LedgerTables.First),

        """
        -- a list of three in its condition made a temporary table for every operation that begins or ends
        DROP INDEX operation_open;
        CREATE INDEX operation_open ON operation(state) WHERE state < 3;
        """,

        """
        -- What an operation is about to make was a layer with state 0. A session of an earlier version that is in the midst of one finds its column
        -- gone, so it cannot commit, and the operation is taken back from here. (DROP COLUMN needs SQLite 3.35, which not every Windows has.)
        CREATE TABLE pending(
          location TEXT PRIMARY KEY, operation_id INTEGER NOT NULL, uid TEXT NOT NULL, parent_id INTEGER REFERENCES layer(id),
          format INTEGER NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;
        INSERT INTO pending(location, operation_id, uid, parent_id, format, size)
          SELECT l.location, l.operation_id, l.uid, (SELECT p.id FROM layer p WHERE p.id = l.parent_id AND p.state <> 0), l.format, l.size FROM layer l WHERE l.state = 0;
        DROP INDEX layer_pending;
        DELETE FROM layer WHERE state = 0;
        ALTER TABLE layer RENAME COLUMN operation_id TO was_operation_id;
        """,

        LedgerTables.BeginAnew(LedgerTables.All),
    ];

    /// <summary>The version that this module writes.</summary>
    public static int Version => Migrations.Length;

    /// <summary>Runs the migrations that the file has not seen.</summary>
    public static void BringUpToDate(Database database, string path)
    {
        long found = database.Number("PRAGMA user_version");
        if (found > Version)
            throw new SnapshotException(ErrorIds.CatalogTooNew, ErrorKind.Unsupported,
                $"The catalog '{path}' has schema version {found}; this SnapshotTools knows versions up to {Version}. Update the module: Update-Module SnapshotTools.", path);
        while (found < Version)
        {
            database.Write(() =>
            {
                found = database.Number("PRAGMA user_version");   // another process may have been first
                if (found >= Version) return;
                database.ExecuteAll(Migrations[found]);
                database.ExecuteAll(string.Create(CultureInfo.InvariantCulture, $"PRAGMA user_version={found + 1}"));
                found++;
            });
        }
    }
}
