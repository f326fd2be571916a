using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Power;

namespace SnapshotTools.Core.Engine.Upkeep;

/// <summary>Compares the catalog with the files, and checks every layer. Operations may go on meanwhile, and machines run.</summary>
/// <param name="context">The store.</param>
/// <param name="options">How to run.</param>
/// <param name="isAlone">Whether the caller holds the locks of all volumes.</param>
internal sealed class StoreTest(EngineContext context, RunOptions options, bool isAlone = false)
{
    private readonly UndisturbedLook _undisturbed = new(context, options, isAlone);

    public IReadOnlyList<StoreFinding> Run()
    {
        var findings = new List<StoreFinding>();
        var links = context.Storage.LeftLinks();
        TestLayers(findings);
        foreach (var volume in new StablePaths(context).Wrong()) findings.AddRange(_undisturbed.At(volume.Id, () => TestStablePath(volume.Id)));
        // What was in use when the test began is gone by now.
        findings.AddRange(context.Storage.LeftLinks().Intersect(links).Select(l => new StoreFinding(FindingSeverity.Information, FindingCodes.LinkLeft, l,
            "A killed process left this link beside a stable path. Nothing uses it. Run Optimize-SnapshotStore to delete it.")));
        TestMemory(findings);
        TestFirmware(findings);
        FindStrangers(findings);
        foreach (long volume in UsedByOthers().Select(l => l.VolumeId!.Value).Distinct()) findings.AddRange(_undisturbed.At(volume, () => FindForeignUsers(volume)));
        TestCatalog(findings);
        foreach (string name in context.Catalog.Layers.VolumesWithUnneededLayers().Select(context.Catalog.Volumes.NameOf))
            findings.Add(new StoreFinding(FindingSeverity.Information, FindingCodes.LayerUnneeded, name, $"Volume '{name}' has layers that nothing needs. Run Optimize-SnapshotStore to merge or delete them."));
        return findings;
    }

    private void TestLayers(List<StoreFinding> findings)
    {
        var test = new LayerTest(context, _undisturbed, options);
        var layers = context.Catalog.Layers.All().ConvertAll(l => l.Id);
        long done = 0;
        foreach (long id in layers)
        {
            options.Cancellation.ThrowIfCancellationRequested();
            options.Progress?.Report(new OperationProgress("Checking layers", done++, layers.Count));
            findings.AddRange(test.Run(id));
        }
    }

    private StoreFinding[] TestStablePath(long volumeId) => new StablePaths(context).FindWrong(volumeId) is not var (volume, _) ? [] :
        [new StoreFinding(FindingSeverity.Warning, FindingCodes.StablePathWrong, volume,
            $"The stable path '{context.Storage.PublishedPath(volume)}' does not lead to the head of volume '{volume}'. Do not start anything from it. Run Optimize-SnapshotStore, which mends it.")];

    private void TestMemory(List<StoreFinding> findings) => findings.AddRange(Missing(context.Catalog.Machines.AllMemory).Select(m => new StoreFinding(FindingSeverity.Error, FindingCodes.MemoryMissing, m.Location, m.Snapshot is null
        ? $"The memory that VM '{m.Vm}' is to go on from is missing. Put the file back; or let the VM boot from its disks: Stop-VmInstance {m.Vm} -TurnOff"
        : $"The saved memory of snapshot '{m.Snapshot}' of VM '{m.Vm}' is missing, so that it cannot be restored. Put the file back. Its disks are not affected; a VM is made of them with Copy-VmInstance {m.Vm} -SnapshotName {m.Snapshot}")));

    private void TestFirmware(List<StoreFinding> findings) => findings.AddRange(Missing(context.Catalog.Machines.AllFirmware).Select(m => new StoreFinding(FindingSeverity.Error, FindingCodes.FirmwareMissing, m.Location, m.Snapshot is null
        ? $"The firmware's variables of VM '{m.Vm}' are missing, so that it cannot be started. Put the file back; or let it begin with those of the template again: Set-VmInstance {m.Vm} -FirmwareVariables <template>"
        : $"The firmware's variables of snapshot '{m.Snapshot}' of VM '{m.Vm}' are missing, so that it cannot be restored. Put the file back. Its disks are not affected; a VM is made of them with Copy-VmInstance {m.Vm} -SnapshotName {m.Snapshot}")));

    private IEnumerable<SavedFile> Missing(Func<List<SavedFile>> all)
    {
        var missing = all().FindAll(f => !context.HasFile(f.Location));
        return missing.Count == 0 ? [] : missing.Intersect(all());   // what was forgotten in the meantime was deleted with good reason
    }

    private List<string> ListFiles() => [.. context.Storage.ListLayers(), .. context.Storage.ListMemory()];

    private void FindStrangers(List<StoreFinding> findings)
    {
        var locations = ListFiles();   // first, so that a file made meanwhile is known by then
        var known = context.Database.Read(KnownFiles);
        var strangers = locations.Where(l => !known.Contains(l)).Intersect(ListFiles()).ToList();   // nor is one that went meanwhile
        if (strangers.Count == 0) return;
        var looks = context.Storage.Survey([]).ToDictionary(f => f.Location);
        var layers = context.Catalog.Layers.All();
        foreach (string location in strangers)
        {
            var found = looks.GetValueOrDefault(location);
            var below = found?.Identity is null && found?.Backing is { } backing ? layers.Find(l => l.Location == backing) : null;
            findings.Add(below is null
                ? new StoreFinding(FindingSeverity.Warning, FindingCodes.FileUnknown, location, "The catalog does not know this file. Repair-SnapshotStore takes it into quarantine, from where it can be deleted.")
                : new StoreFinding(FindingSeverity.Error, FindingCodes.ForeignOverlay, location,
                    $"Something other than SnapshotTools put this image on a layer of volume '{context.Catalog.Volumes.NameOf(below.VolumeId!.Value)}'. What was written since may be in it, and is not in the volume. Import it as a volume of its own if it is wanted, then remove it."));
        }
    }

    private HashSet<string> KnownFiles() =>
        [
            .. context.Catalog.Layers.All().Select(l => l.Location), .. context.Catalog.Pending.Locations(), .. context.Catalog.Layers.Garbage(), .. context.Catalog.Copies.All().Select(c => c.Location),
            .. context.Catalog.Machines.AllMemory().Select(m => m.Location), .. context.Catalog.Machines.AllFirmware().Select(f => f.Location),
        ];

    private StoreFinding[] FindForeignUsers(long volumeId) => [.. UsedByOthers().Where(l => l.VolumeId == volumeId).Select(l => new StoreFinding(
        FindingSeverity.Warning, FindingCodes.LayerInForeignUse, l.Location,
        $"Another process has this frozen layer of volume '{context.Catalog.Volumes.NameOf(volumeId)}' open, and not through the volume's head: somebody may have put an overlay of their own on it. Its snapshots cannot be merged away meanwhile. Find the process, for example with 'fuser' or 'lsof'."))];

    /// <summary>A layer that somebody has open while nobody has the head over it is read, or written, by something that came past us.</summary>
    private List<LayerRow> UsedByOthers() => context.Database.Read(() =>
    {
        var held = context.Catalog.Layers.All().FindAll(l => !l.External && context.Storage.IsHeld(l.File));
        // The heads that an operation is about to make are open already, and what is being copied is read.
        var tops = held.Where(l => l.State == LayerState.Head).Select(l => l.Id).Concat(context.Catalog.Pending.Parents()).Concat(context.Catalog.Copies.All().Select(c => c.LayerId));
        var expected = tops.SelectMany(context.Catalog.Layers.Chain).Select(l => l.Id).ToHashSet();
        return held.FindAll(l => !expected.Contains(l.Id));
    });

    private void TestCatalog(List<StoreFinding> findings)
    {
        if (context.Database.Damage() is { } damage)
            findings.Add(new StoreFinding(FindingSeverity.Error, FindingCodes.CatalogDamaged, "catalog.sqlite", $"The catalog is damaged ({damage}). The layers are not affected. Repair-SnapshotStore rebuilds it."));
    }
}
