using System.Globalization;
using SnapshotTools.Core.Catalog;
using SnapshotTools.IO;

namespace SnapshotTools.Core.Engine.Repair;

/// <summary>Puts a rebuilt catalog into the place of one that is lost or damaged, which goes into quarantine. It comes whole, by one rename.</summary>
internal static class CatalogReplacement
{
    /// <summary>Plans it: reads the ledger and the layers, and says what will be there again.</summary>
    public static PlannedOperation<IReadOnlyList<StoreRepair>> Prepare(IFileSystem files, StoreFiles paths, IStoragePlane storage, string why)
    {
        var rebuild = new CatalogRebuild(storage, LedgerFile.Read(files, paths.Ledger));
        var rows = rebuild.Rows;
        string what = string.Create(CultureInfo.InvariantCulture,
            $"{rows["vm"].Count} VMs, {rows["volume"].Count} volumes, {rows["vm_snapshot"].Count + rows["volume_snapshot"].Count(s => s["vm_snapshot_id"] is null)} snapshots, {rows["layer"].Count} layers");
        string source = rebuild.HasLedger ? "its ledger and what the layers say of themselves" : "what the layers say of themselves, since there is no ledger either; VMs without a snapshot, and names that were changed, are lost";
        var plan = new OperationPlan
        {
            Kind = OperationKind.Repair,
            Target = paths.Directory,
            Summary = $"Rebuild the catalog of store '{paths.Directory}', since {why}",
            Steps =
            [
                new PlanStep(PlanAction.Update, paths.Catalog, $"make a catalog with {what} from {source}"),
                new PlanStep(PlanAction.Quarantine, paths.Catalog, "take what is left of the old catalog into quarantine"),
            ],
            Lost = [.. rebuild.Lost.Distinct()],
        };
        return new PlannedOperation<IReadOnlyList<StoreRepair>>(plan, (_, options) =>
        {
            using var alone = StoreLocks.Open(files, paths.Locks).TryAcquire(LockKey.Users) ?? throw new SnapshotException(ErrorIds.CatalogBusy, ErrorKind.Busy,
                $"Another process has store '{paths.Directory}' open, so its catalog is not replaced. Close it, then run Repair-SnapshotStore again.", paths.Directory);
            if (IsSound(files, paths)) return [];   // another process has rebuilt it since this was planned, and it may know more than the ledger by now
            string made = Make(files, paths, new CatalogRebuild(storage, LedgerFile.Read(files, paths.Ledger)).Rows);
            foreach (string file in Database.FilesOf(paths.Catalog))
                if (files.Stat(file) is { Kind: FileKind.Regular }) storage.Quarantine(Path.GetFileName(file));
            files.Rename(made, paths.Catalog);
            files.SyncDirectory(paths.Directory);
            options.Log?.Invoke($"the catalog has {what}");
            return [new StoreRepair(FindingCodes.CatalogLost, paths.Catalog, true, $"The catalog was rebuilt with {what} from {source}.")];
        });
    }

    private static bool IsSound(IFileSystem files, StoreFiles paths)
    {
        if (files.Stat(paths.Catalog) is not { Kind: FileKind.Regular }) return false;
        try
        {
            using var catalog = StoreCatalog.Open(files, paths.Catalog);
            return catalog.Database.Damage() is null;
        }
        catch (SnapshotException error) when (error.ErrorId == ErrorIds.CatalogDamaged)
        {
            return false;
        }
    }

    private static string Make(IFileSystem files, StoreFiles paths, CatalogRows rows)
    {
        string making = Database.PlaceToMake(files, paths.Catalog);
        using (var database = Database.Open(files, making, create: true))
        {
            database.Write(() =>
            {
                // Rows refer to each other both ways, so they are looked at together, at the end.
                database.Execute("PRAGMA defer_foreign_keys=ON");
                foreach (var (table, _) in LedgerTables.All)
                {
                    var columns = database.Query($"SELECT name FROM pragma_table_info('{table}')", r => r.GetString(0));
                    foreach (var row in rows[table])
                    {
                        var known = columns.Where(c => row.GetValueOrDefault(c) is not null).ToList();
                        database.Execute($"INSERT INTO {table}({string.Join(", ", known)}) VALUES({string.Join(", ", known.Select((_, i) => FormattableString.Invariant($"?{i + 1}")))})", [.. known.Select(c => row[c])]);
                    }
                }
            });
            database.Execute("PRAGMA wal_checkpoint(TRUNCATE)");
        }
        return making;
    }
}
