using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine;
using SnapshotTools.Core.Engine.Upkeep;
using SnapshotTools.IO;

namespace SnapshotTools.Core;

/// <summary>
/// One open store. It knows every operation from end to end and composes the planes; each change is planned first and run
/// then. Use one engine from one thread at a time; several engines, in one process or many, may have one store open.
/// </summary>
public sealed class SnapshotEngine : IDisposable
{
    private static readonly TimeSpan MakingPatience = TimeSpan.FromSeconds(30);

    private readonly EngineContext _context;
    private readonly IDisposable _use;
    private bool _isDisposed;

    private SnapshotEngine(EngineContext context, IDisposable use)
    {
        _context = context;
        _use = use;
        Machines = new MachineService(_context);
        Volumes = new VolumeService(_context);
        Snapshots = new SnapshotService(_context);
        VolumeSnapshots = new VolumeSnapshotService(_context);
        Operations = new OperationService(_context);
        Templates = new TemplateService(_context);
    }

    /// <summary>What the engine works with; for tests that look below it.</summary>
    internal EngineContext Context => _context;

    /// <summary>VM instances.</summary>
    public MachineService Machines { get; }

    /// <summary>Volumes.</summary>
    public VolumeService Volumes { get; }

    /// <summary>VM snapshots.</summary>
    public SnapshotService Snapshots { get; }

    /// <summary>Volume snapshots.</summary>
    public VolumeSnapshotService VolumeSnapshots { get; }

    /// <summary>Templates.</summary>
    public TemplateService Templates { get; }

    /// <summary>Operations.</summary>
    public OperationService Operations { get; }

    /// <summary>Makes the catalog and the lock file of a new store. The catalog comes into its place whole, and last: only a directory that has it is a store.
    /// Of several that make one in the same place at once, one does, and the others find it made.</summary>
    /// <param name="files">The file system that it is on.</param>
    /// <param name="paths">Its files.</param>
    /// <param name="storeId">The id of the store, if it is not there yet.</param>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.CatalogBusy"/>: another process is at the same and does not end.</exception>
    public static void CreateCatalog(IFileSystem files, StoreFiles paths, Guid storeId)
    {
        ArgumentNullException.ThrowIfNull(files);
        ArgumentNullException.ThrowIfNull(paths);
        using var alone = StoreLocks.Open(files, paths.Locks).Acquire([LockKey.Store], MakingPatience, _ => new SnapshotException(ErrorIds.CatalogBusy, ErrorKind.Busy,
            $"Another process is making a store in '{paths.Directory}'. Try again when it is done.", paths.Directory), null, CancellationToken.None);
        if (files.Stat(paths.Catalog) is not null) return;
        string making = Database.PlaceToMake(files, paths.Catalog);
        StoreCatalog.Create(files, making, storeId).Dispose();
        files.Rename(making, paths.Catalog);
        files.SyncDirectory(paths.Directory);
    }

    /// <summary>Reads the id of a store from its catalog.</summary>
    public static Guid ReadStoreId(IFileSystem files, StoreFiles paths)
    {
        ArgumentNullException.ThrowIfNull(paths);
        using var catalog = StoreCatalog.Open(files, paths.Catalog);
        return catalog.StoreId;
    }

    /// <summary>Opens a store and settles what a killed process may have left in it.</summary>
    /// <param name="files">The file system that it is on.</param>
    /// <param name="paths">Its files.</param>
    /// <param name="storage">Its storage plane, which the engine then owns.</param>
    /// <param name="log">Is told what had to be settled.</param>
    /// <param name="compute">What runs its machines, which the engine then owns; without it every VM is stopped.</param>
    public static SnapshotEngine Open(IFileSystem files, StoreFiles paths, IStoragePlane storage, Action<string>? log = null, IComputePlane? compute = null)
    {
        ArgumentNullException.ThrowIfNull(paths);
        var locks = StoreLocks.Open(files, paths.Locks);
        var use = locks.TryAcquire(LockKey.Users, LockKind.Shared) ?? throw new SnapshotException(ErrorIds.CatalogBusy, ErrorKind.Busy,
            $"Store '{paths.Directory}' is being repaired by another process. Try again when it is done.", paths.Directory);
        StoreCatalog? catalog = null;
        try
        {
            catalog = StoreCatalog.Open(files, paths.Catalog);
            var context = new EngineContext(paths, catalog, storage, files, locks, compute);
            new Settling(context, log).Run(Boot.Id);
            return new SnapshotEngine(context, use);
        }
        catch
        {
            catalog?.Dispose();
            use.Dispose();
            throw;
        }
    }

    /// <summary>The store and what is in it.</summary>
    public StoreInfo GetStore() => _context.Database.Read(() => new StoreInfo
    {
        Id = _context.Catalog.StoreId,
        Path = _context.Store,
        SchemaVersion = Schema.Version,
        VmCount = (int)_context.Catalog.Machines.Count(),
        VolumeCount = (int)_context.Catalog.Volumes.Count(),
        SnapshotCount = (int)_context.Catalog.Snapshots.Count(),
        LayerCount = (int)_context.Catalog.Layers.Count(),
        AllocatedBytes = _context.Catalog.Layers.FrozenBytes() + _context.Catalog.Layers.Heads().Sum(h => _context.Storage.Measure(h.File)?.AllocatedBytes ?? 0),
        FreeBytes = _context.Storage.FreeBytes(),
        CreatedAt = _context.Catalog.CreatedAt,
    });

    /// <summary>Compares the catalog with the files and checks every layer; changes nothing.</summary>
    public IReadOnlyList<StoreFinding> Test(RunOptions? options = null) => new StoreTest(_context, options ?? RunOptions.Default).Run();

    /// <summary>Merges and deletes layers that nothing needs, which an interrupted operation may have left. The run gives the bytes freed.</summary>
    public PlannedOperation<long> Optimize() => new OptimizeStore(_context).Prepare();

    /// <summary>Plans to mend what <see cref="Test"/> finds. What cannot be mended is among the results, and the rest is mended all the same.</summary>
    /// <param name="searchIn">Other directories to look for missing layers in.</param>
    public PlannedOperation<IReadOnlyList<StoreRepair>> Repair(IReadOnlyList<string>? searchIn = null) => new Engine.Repair.RepairStore(_context, searchIn ?? []).Prepare();

    /// <summary>Deletes the files that repairs took out of the way; the run gives the bytes that become free.</summary>
    public PlannedOperation<long> EmptyQuarantine() => new Engine.Repair.EmptyQuarantine(_context).Prepare();

    /// <summary>Plans to rebuild a catalog that is lost or cannot be read.</summary>
    /// <param name="files">The file system that the store is on.</param>
    /// <param name="paths">Its files.</param>
    /// <param name="storage">Its storage plane.</param>
    /// <param name="why">What is wrong with the catalog.</param>
    public static PlannedOperation<IReadOnlyList<StoreRepair>> RebuildCatalog(IFileSystem files, StoreFiles paths, IStoragePlane storage, string why) =>
        Engine.Repair.CatalogReplacement.Prepare(files, paths, storage, why);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_isDisposed) return;
        _isDisposed = true;
        try
        {
            new Collecting(_context).CatchUp();
            _context.Ledger.Save();
        }
        finally
        {
            _context.Catalog.Dispose();
            _use.Dispose();
            _context.Storage.Dispose();
            _context.Compute?.Dispose();
        }
    }
}

/// <summary>The engine's own files in a store.</summary>
/// <param name="Directory">The store.</param>
/// <param name="Catalog">The catalog's file.</param>
/// <param name="Locks">The file whose bytes are the locks between operations.</param>
public sealed record StoreFiles(string Directory, string Catalog, string Locks)
{
    /// <summary>The catalog's second record, from which a lost catalog is rebuilt.</summary>
    public string Ledger => Path.Combine(Directory, "catalog.ledger");
}
