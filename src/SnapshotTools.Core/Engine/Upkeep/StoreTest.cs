using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Upkeep;

/// <summary>Compares the catalog with the files, and checks every layer.</summary>
internal sealed class StoreTest(EngineContext context, RunOptions options)
{
    public IReadOnlyList<StoreFinding> Run()
    {
        var findings = new List<StoreFinding>();
        var layers = context.Catalog.Layers.All();
        var byId = layers.ToDictionary(l => l.Id);
        var present = context.Catalog.Volumes.All();
        var links = context.Storage.LeftLinks();
        var volumes = present.Concat(context.Catalog.Volumes.Removed().Select(context.Catalog.Volumes.Get)).ToDictionary(v => v.Id);
        long done = 0;
        foreach (var layer in layers)
        {
            options.Cancellation.ThrowIfCancellationRequested();
            options.Progress?.Report(new OperationProgress("Checking layers", done++, layers.Count));
            TestLayer(layer, byId, volumes, findings);
        }
        findings.AddRange(new StablePaths(context).Wrong().Select(v => new StoreFinding(FindingSeverity.Warning, FindingCodes.StablePathWrong, v.Name,
            $"The stable path '{context.Storage.PublishedPath(v.Name)}' does not lead to the head of volume '{v.Name}'. Do not start anything from it. Run Optimize-SnapshotStore, which mends it.")));
        // What was in use when the test began is gone by now.
        findings.AddRange(context.Storage.LeftLinks().Intersect(links).Select(l => new StoreFinding(FindingSeverity.Information, FindingCodes.LinkLeft, l,
            "A killed process left this link beside a stable path. Nothing uses it. Run Optimize-SnapshotStore to delete it.")));
        FindStrangers(layers, volumes, findings);
        FindForeignUsers(layers, volumes, findings);
        TestCatalog(findings);
        foreach (long id in context.Catalog.Layers.VolumesWithUnneededLayers())
            findings.Add(new StoreFinding(FindingSeverity.Information, FindingCodes.LayerUnneeded, volumes[id].Name, $"Volume '{volumes[id].Name}' has layers that nothing needs. Run Optimize-SnapshotStore to merge or delete them."));
        return findings;
    }

    private void TestLayer(LayerRow layer, Dictionary<long, LayerRow> byId, Dictionary<long, VolumeRow> volumes, List<StoreFinding> findings)
    {
        var volume = volumes[layer.VolumeId!.Value];
        string affected = Affected(layer, volume);
        if (context.Storage.Measure(layer.File) is not { } facts)
        {
            findings.Add(new StoreFinding(FindingSeverity.Error, FindingCodes.LayerMissing, layer.Location, $"The file of a layer is missing. It affects {affected}. Put the file back; Repair-SnapshotStore looks for it in the folders of -SearchPath, too."));
            return;
        }
        if (layer.State == LayerState.Frozen && (facts.Length != layer.Length || facts.ModifiedAt != layer.ModifiedAt))
            findings.Add(new StoreFinding(FindingSeverity.Error, FindingCodes.LayerChanged, layer.Location, $"The file was written after it was frozen. It affects {affected}. Find out what wrote to it; what was written there cannot be taken back."));
        var parent = layer.ParentId is { } id ? byId[id].File : null;
        findings.AddRange(context.Storage.Check(layer.File, parent, context.IdentityOf(layer, volume), options.Cancellation)
            .Select(f => f with { Message = $"{f.Message}{(f.Severity == FindingSeverity.Error ? $" It affects {affected}." : "")} {NextStep(f.Code)}" }));
    }

    /// <summary>What to do about a finding inside of a layer. A repair that could not mend it says the same, so nothing is promised here that a repair may not do.</summary>
    private static string NextStep(string code) => code switch
    {
        FindingCodes.LayerDamaged => "Repair-SnapshotStore mends reference counts; what else is damaged has to come from a copy of the file.",
        FindingCodes.LayerLeaks => "Repair-SnapshotStore gives the space back.",
        FindingCodes.LayerBaseWrong or FindingCodes.LayerWithoutIdentity => "Repair-SnapshotStore mends it where the right base is in its place.",
        _ => "Put the right file in its place; Repair-SnapshotStore looks for it in the folders of -SearchPath, too.",
    };

    private string Affected(LayerRow layer, VolumeRow volume)
    {
        var snapshots = context.Catalog.Snapshots.OfVolume(volume.Id).FindAll(s => s.LayerId == layer.Id).ConvertAll(s => $"snapshot '{s.Name}'");
        return $"volume '{volume.Name}'{(snapshots.Count > 0 ? $" ({string.Join(", ", snapshots)} and what descends from it)" : layer.State == LayerState.Head ? " (its present)" : "")}";
    }

    private void FindStrangers(List<LayerRow> layers, Dictionary<long, VolumeRow> volumes, List<StoreFinding> findings)
    {
        var locations = context.Storage.ListLayers();   // first, so that a file made meanwhile is known by then
        var known = context.Database.Read(KnownFiles);
        var strangers = locations.Where(l => !known.Contains(l)).ToList();
        if (strangers.Count == 0) return;
        var looks = context.Storage.Survey([]).ToDictionary(f => f.Location);
        foreach (string location in strangers)
        {
            var found = looks.GetValueOrDefault(location);
            var below = found?.Identity is null && found?.Backing is { } backing ? layers.Find(l => l.Location == backing) : null;
            findings.Add(below is null
                ? new StoreFinding(FindingSeverity.Warning, FindingCodes.FileUnknown, location, "The catalog does not know this file. Repair-SnapshotStore takes it into quarantine, from where it can be deleted.")
                : new StoreFinding(FindingSeverity.Error, FindingCodes.ForeignOverlay, location,
                    $"Something other than SnapshotTools put this image on a layer of volume '{volumes[below.VolumeId!.Value].Name}'. What was written since may be in it, and is not in the volume. Import it as a volume of its own if it is wanted, then remove it."));
        }
    }

    private HashSet<string> KnownFiles() =>
        [.. context.Catalog.Layers.All().Select(l => l.Location), .. context.Catalog.Pending.Locations(), .. context.Catalog.Layers.Garbage(), .. context.Catalog.Copies.All().Select(c => c.Location)];

    /// <summary>A layer that somebody has open while nobody has the head over it is read, or written, by something that came past us.</summary>
    private void FindForeignUsers(List<LayerRow> layers, Dictionary<long, VolumeRow> volumes, List<StoreFinding> findings)
    {
        var held = layers.Where(l => !l.External && context.Storage.IsHeld(l.File)).ToList();
        var expected = held.Where(l => l.State == LayerState.Head).SelectMany(h => context.Catalog.Layers.Chain(h.Id)).Select(l => l.Id)
            .Concat(context.Catalog.Copies.All().SelectMany(c => context.Catalog.Layers.Chain(c.LayerId)).Select(l => l.Id)).ToHashSet();   // what is being copied is read
        findings.AddRange(held.Where(l => !expected.Contains(l.Id)).Select(l => new StoreFinding(FindingSeverity.Warning, FindingCodes.LayerInForeignUse, l.Location,
            $"Another process has this frozen layer of volume '{volumes[l.VolumeId!.Value].Name}' open, and not through the volume's head: somebody may have put an overlay of their own on it. Its snapshots cannot be merged away meanwhile. Find the process, for example with 'fuser' or 'lsof'.")));
    }

    private void TestCatalog(List<StoreFinding> findings)
    {
        if (context.Database.Damage() is { } damage)
            findings.Add(new StoreFinding(FindingSeverity.Error, FindingCodes.CatalogDamaged, "catalog.sqlite", $"The catalog is damaged ({damage}). The layers are not affected. Repair-SnapshotStore rebuilds it."));
    }
}
