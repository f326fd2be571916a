using SnapshotTools.IO;

namespace SnapshotTools.Core.Catalog;

/// <summary>What a store knows: one table class for each subject, over one database.</summary>
internal sealed class StoreCatalog : IDisposable
{
    private StoreCatalog(Database database)
    {
        Database = database;
        Layers = new LayerTable(database);
        Pending = new PendingTable(database);
        Volumes = new VolumeTable(database);
        Machines = new MachineTable(database);
        Snapshots = new SnapshotTable(database);
        Operations = new OperationTable(database);
        Copies = new CopyTable(database);
    }

    public Database Database { get; }

    public LayerTable Layers { get; }

    public PendingTable Pending { get; }

    public VolumeTable Volumes { get; }

    public MachineTable Machines { get; }

    public SnapshotTable Snapshots { get; }

    public OperationTable Operations { get; }

    public CopyTable Copies { get; }

    /// <summary>The store's id.</summary>
    public Guid StoreId { get; private set; }

    /// <summary>When the store was made.</summary>
    public DateTimeOffset CreatedAt { get; private set; }

    public static StoreCatalog Create(IFileSystem files, string path, Guid storeId)
    {
        using var database = Database.Open(files, path, create: true);
        database.Execute("INSERT INTO store(id, uid, created_at) VALUES(1, ?1, ?2)", storeId, DateTimeOffset.UtcNow);
        return Open(files, path);
    }

    public static StoreCatalog Open(IFileSystem files, string path)
    {
        var catalog = new StoreCatalog(Database.Open(files, path, create: false));
        var row = catalog.Database.Single("SELECT uid, created_at FROM store", r => new StoreRow(r.Id(0), r.Time(1)!.Value));
        if (row is null)
        {
            catalog.Dispose();
            throw new SnapshotException(ErrorIds.CatalogDamaged, ErrorKind.Damaged, $"The catalog '{path}' says nothing of its store.", path);
        }
        (catalog.StoreId, catalog.CreatedAt) = row;
        return catalog;
    }

    /// <summary>The boot of this machine in which the stable paths were last known to be right; see <see cref="SetBootId"/>.</summary>
    public string? GetBootId() => Database.Text("SELECT boot_id FROM store");

    public void SetBootId(string bootId) => Database.Write(() => Database.Execute("UPDATE store SET boot_id = ?1", bootId), durable: false);

    public void Dispose() => Database.Dispose();
}
