using SnapshotTools.Core;
using SnapshotTools.IO;

namespace SnapshotTools.Embedded;

/// <summary>Stores in a directory: volumes as chains of qcow2 layers, nothing else needed.</summary>
public static class EmbeddedStore
{
    /// <summary>The store that is used when none is named: <c>SNAPSHOTTOOLS_STORE</c>, else <c>SnapshotTools</c> in the user's data folder.</summary>
    public static string DefaultDirectory => Environment.GetEnvironmentVariable("SNAPSHOTTOOLS_STORE") is { Length: > 0 } named
        ? Path.GetFullPath(named)
        : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify), "SnapshotTools");

    /// <summary>Opens a store and settles what a killed process may have left in it.</summary>
    /// <param name="directory">The store's directory.</param>
    /// <param name="log">Is told what had to be settled.</param>
    /// <param name="compute">What runs its machines. Without it every VM counts as stopped, also to what settles the rest of a killed process: only for stores whose machines never run.</param>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.StoreNotFound"/> or an error of the catalog.</exception>
    public static SnapshotEngine Open(string directory, Action<string>? log = null, IComputePlane? compute = null) => Open(SystemFiles.Instance, directory, log, compute);

    /// <summary>Makes a store, or leaves one that is there as it is.</summary>
    /// <param name="directory">The store's directory: not there yet, or empty.</param>
    /// <param name="compute">Makes what runs the machines of a store that is there; see <see cref="Open(string, Action{string}?, IComputePlane?)"/>.</param>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.NotAStore"/>: there is something else.</exception>
    public static PlannedOperation<StoreInfo> Initialize(string directory, Func<IComputePlane>? compute = null) => Initialize(SystemFiles.Instance, directory, compute);

    /// <inheritdoc cref="Open(string, Action{string}?, IComputePlane?)"/>
    public static SnapshotEngine Open(IFileSystem files, string directory, Action<string>? log = null, IComputePlane? compute = null)
    {
        ArgumentNullException.ThrowIfNull(files);
        var layout = new StoreLayout(directory);
        RequireCatalog(files, layout);
        if (!IsStore(files, layout))
            throw new SnapshotException(ErrorIds.StoreNotFound, ErrorKind.NotFound,
                $"There is no store in '{layout.Directory}'. Make one: Initialize-SnapshotStore '{layout.Directory}'; or name another with -Store or SNAPSHOTTOOLS_STORE.", layout.Directory);
        RequireNoLinks(files, layout);
        var storage = new LayerStorage(files, layout);
        try
        {
            return SnapshotEngine.Open(files, layout.Files, storage, log, compute);
        }
        catch
        {
            storage.Dispose();
            throw;
        }
    }

    /// <inheritdoc cref="Initialize(string, Func{IComputePlane}?)"/>
    public static PlannedOperation<StoreInfo> Initialize(IFileSystem files, string directory, Func<IComputePlane>? compute = null)
    {
        ArgumentNullException.ThrowIfNull(files);
        var layout = new StoreLayout(directory);
        bool exists = IsStore(files, layout);
        RequireCatalog(files, layout);
        if (!exists) RequireEmpty(files, layout);
        var plan = new OperationPlan
        {
            Kind = OperationKind.CreateVolume,
            Target = layout.Directory,
            Summary = exists ? $"'{layout.Directory}' is a store already; nothing is done." : $"Make a store in '{layout.Directory}'.",
        };
        return PlannedOperation.Of(plan, options =>
        {
            if (!IsStore(files, layout)) Create(files, layout);
            using var engine = Open(files, layout.Directory, options.Log, compute?.Invoke());
            return engine.GetStore();
        });
    }

    /// <summary>Plans to mend a store: a lost or damaged catalog, else what a test of the store finds.</summary>
    /// <param name="directory">The store's directory.</param>
    /// <param name="searchIn">Other directories to look for missing layers in.</param>
    /// <param name="compute">Makes what runs its machines; see <see cref="Open(string, Action{string}?, IComputePlane?)"/>.</param>
    public static PlannedOperation<IReadOnlyList<StoreRepair>> Repair(string directory, IReadOnlyList<string>? searchIn = null, Func<IComputePlane>? compute = null) =>
        Repair(SystemFiles.Instance, directory, searchIn, compute);

    /// <inheritdoc cref="Repair(string, IReadOnlyList{string}?, Func{IComputePlane}?)"/>
    public static PlannedOperation<IReadOnlyList<StoreRepair>> Repair(IFileSystem files, string directory, IReadOnlyList<string>? searchIn = null, Func<IComputePlane>? compute = null)
    {
        ArgumentNullException.ThrowIfNull(files);
        var layout = new StoreLayout(directory);
        string why;
        try
        {
            using var engine = Open(null);
            var plan = engine.Repair(searchIn).Plan;
            if (!plan.Steps.Any(s => s.Subject == "catalog.sqlite"))
                return PlannedOperation.Of(plan, options =>
                {
                    using var again = Open(options.Log);
                    return again.Repair(searchIn).Run(options);
                });
            why = "it is damaged.";
        }
        catch (SnapshotException error) when (error.ErrorId == ErrorIds.CatalogDamaged)
        {
            why = HasLostCatalog(files, layout) ? "it is missing." : "it is damaged.";
        }
        var storage = new LayerStorage(files, layout);
        var rebuild = SnapshotEngine.RebuildCatalog(files, layout.Files, storage, why);
        return PlannedOperation.Of(rebuild.Plan, options =>
        {
            var done = rebuild.Run(options);
            using var engine = Open(options.Log);
            return (IReadOnlyList<StoreRepair>)[.. done, .. engine.Repair(searchIn).Run(options)];
        });

        SnapshotEngine Open(Action<string>? log) => EmbeddedStore.Open(files, directory, log, compute?.Invoke());
    }

    /// <summary>There is no catalog, but what only a store has.</summary>
    // The catalog is looked for last: where another process is just making the store it comes before all else that is looked for.
    private static bool HasLostCatalog(IFileSystem files, StoreLayout layout) => files.Stat(layout.Layers)?.Kind == FileKind.Directory
        && (files.Stat(layout.Files.Ledger) is not null || files.List(layout.Layers).Any()) && !IsStore(files, layout);

    private static void RequireCatalog(IFileSystem files, StoreLayout layout)
    {
        if (HasLostCatalog(files, layout))
            throw new SnapshotException(ErrorIds.CatalogDamaged, ErrorKind.Damaged,
                $"The catalog of store '{layout.Directory}' is missing. The layers are not affected. Rebuild it: Repair-SnapshotStore '{layout.Directory}'", layout.Directory);
    }

    /// <summary>Nothing of a store's own may lead elsewhere; whoever planted a link there wants what is written through it.</summary>
    private static void RequireNoLinks(IFileSystem files, StoreLayout layout)
    {
        string[] own = [.. layout.Folders, layout.Quarantine, layout.Files.Catalog + "-wal", layout.Files.Catalog + "-shm", layout.Files.Locks, layout.Files.Ledger];
        if (own.FirstOrDefault(p => files.Stat(p)?.Kind == FileKind.Link) is { } link)
            throw new SnapshotException(ErrorIds.NotAStore, ErrorKind.Conflict,
                $"'{link}' is a link, and nothing of a store's own may lead elsewhere, so the store is not opened. If you moved a part of the store, move the whole store instead; else find out who put the link there, and remove it.", link);
    }

    private static bool IsStore(IFileSystem files, StoreLayout layout) => files.Stat(layout.Files.Catalog)?.Kind == FileKind.Regular;

    private static void RequireEmpty(IFileSystem files, StoreLayout layout)
    {
        var there = files.Stat(layout.Directory);
        bool isUsable = there is null || (there.Kind == FileKind.Directory && !files.List(layout.Directory).Any(IsForeign));
        if (!isUsable && !IsStore(files, layout))   // which another process may have made meanwhile
            throw new SnapshotException(ErrorIds.NotAStore, ErrorKind.Conflict,
                $"'{layout.Directory}' {(there!.Kind == FileKind.Directory ? "has something in it that is not a store" : "is not a directory")}, so no store is made there. Name a directory that is empty or not there yet.", layout.Directory);

        // What an Initialize that was killed may have left is ours.
        bool IsForeign(FileStat entry) => !layout.Folders.Contains(entry.Path) && entry.Path != layout.Files.Locks && !entry.Path.StartsWith(layout.Files.Catalog, StringComparison.Ordinal);
    }

    private static void Create(IFileSystem files, StoreLayout layout)
    {
        files.CreateDirectory(layout.Directory);
        foreach (string folder in layout.Folders) files.CreateDirectory(folder);
        SnapshotEngine.CreateCatalog(files, layout.Files, Guid.CreateVersion7());
    }
}
