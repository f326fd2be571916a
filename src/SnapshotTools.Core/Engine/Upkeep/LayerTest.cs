using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Upkeep;

/// <summary>Tests single layers: is the file there, is it the one that the catalog means, on the right base, unchanged since it was frozen, and sound.</summary>
internal sealed class LayerTest(EngineContext context, UndisturbedLook undisturbed, RunOptions options)
{
    /// <summary>Tests a layer, which may be gone by now.</summary>
    public IEnumerable<StoreFinding> Run(long layerId)
    {
        if (Find(layerId) is not { } known) return [];
        var place = undisturbed.At(known.Volume.Id, () => Find(layerId) is { } layer ? LookAtPlace(layer) : []);
        // Asked again: the catalog may have gone on.
        var tables = Find(layerId) is { } now && context.Storage.Measure(now.Row.File) is not null ? LookAtTables(now) : [];
        return [.. place, .. tables.Where(t => !place.Any(p => p.Code == t.Code))];
    }

    private List<StoreFinding> LookAtPlace(Subject layer)
    {
        if (IsHalfDone(layer)) return [];
        var facts = context.Storage.Measure(layer.Row.File);
        if (facts is null)
            return [new StoreFinding(FindingSeverity.Error, FindingCodes.LayerMissing, layer.Row.Location,
                $"The file of a layer is missing. It affects {Affected(layer)}. Put the file back; Repair-SnapshotStore looks for it in the folders of -SearchPath, too.")];
        var findings = Explain(layer, context.Storage.CheckPlace(layer.Row.File, layer.Parent?.File, IdentityOf(layer.Row, layer.Volume)));
        bool isChanged = layer.Row.State == LayerState.Frozen && (facts.Length != layer.Row.Length || facts.ModifiedAt != layer.Row.ModifiedAt);
        if (isChanged && !layer.Row.IsMerging && layer.Parent is not { IsMerging: true })
            findings.Insert(0, new StoreFinding(FindingSeverity.Error, FindingCodes.LayerChanged, layer.Row.Location,
                $"The file was written after it was frozen. It affects {Affected(layer)}. Find out what wrote to it; what was written there cannot be taken back."));
        return findings;
    }

    private List<StoreFinding> LookAtTables(Subject layer)
    {
        if (context.Storage.CheckTables(layer.Row.File, options.Cancellation) is { } findings) return Explain(layer, findings);
        options.Log?.Invoke($"'{layer.Row.Location}' of volume '{layer.Volume.Name}' is being written, so its tables were not checked.");
        return [];
    }

    /// <summary>A merge, or a copy, that was cut off near its end has left the files as they will be, and the catalog as it was. Who goes on with it begins there.</summary>
    private bool IsHalfDone(Subject layer)
    {
        // The copy is in the place of the clone's base, and lies on nothing.
        if (layer.Parent is not null && context.Catalog.Copies.IsOf(layer.Row.Id) && IsRight(layer.Row.File, null, layer.Row)) return true;
        // Downwards: the layer says that it is its child already, or is in the child's place.
        if (layer.Row.IsMerging && context.Catalog.Layers.Children(layer.Row.Id) is [var child, ..])
        {
            var place = context.Storage.Measure(layer.Row.File) is null ? child.File : layer.Row.File;
            if (IsRight(place, layer.Parent, child)) return true;
        }
        // Upwards: the child lies on what the layer lay on.
        return layer.Parent is { IsMerging: true } merged && IsRight(layer.Row.File, merged.ParentId is { } id ? context.Catalog.Layers.Find(id) : null, layer.Row);

        bool IsRight(LayerFile file, LayerRow? parent, LayerRow identity) =>
            context.Storage.Measure(file) is not null && context.Storage.CheckPlace(file, parent?.File, IdentityOf(identity, layer.Volume)).Count == 0;
    }

    private LayerIdentity IdentityOf(LayerRow layer, VolumeRow volume) => context.NewIdentity(layer.Uid, volume.Uid, volume.Name, null, null);

    private List<StoreFinding> Explain(Subject layer, IReadOnlyList<StoreFinding> findings) =>
        [.. findings.Select(f => f with { Message = $"{f.Message}{(f.Severity == FindingSeverity.Error ? $" It affects {Affected(layer)}." : "")} {NextStep(f.Code)}" })];

    /// <summary>What to do about a finding inside of a layer. A repair that could not mend it says the same, so nothing is promised here that a repair may not do.</summary>
    private static string NextStep(string code) => code switch
    {
        FindingCodes.LayerDamaged => "Repair-SnapshotStore mends reference counts; what else is damaged has to come from a copy of the file.",
        FindingCodes.LayerLeaks => "Repair-SnapshotStore gives the space back.",
        FindingCodes.LayerBaseWrong or FindingCodes.LayerWithoutIdentity => "Repair-SnapshotStore mends it where the right base is in its place.",
        _ => "Put the right file in its place; Repair-SnapshotStore looks for it in the folders of -SearchPath, too.",
    };

    private string Affected(Subject layer)
    {
        var snapshots = context.Catalog.Snapshots.OfVolume(layer.Volume.Id).FindAll(s => s.LayerId == layer.Row.Id).ConvertAll(s => $"snapshot '{s.Name}'");
        return $"volume '{layer.Volume.Name}'{(snapshots.Count > 0 ? $" ({string.Join(", ", snapshots)} and what descends from it)" : layer.Row.State == LayerState.Head ? " (its present)" : "")}";
    }

    private Subject? Find(long layerId) => context.Database.Read(() => context.Catalog.Layers.Find(layerId) is not { VolumeId: { } volumeId } row ? null
        : new Subject(row, row.ParentId is { } id ? context.Catalog.Layers.Get(id) : null, context.Catalog.Volumes.Get(volumeId)));

    /// <summary>A layer as the catalog has it now.</summary>
    private sealed record Subject(LayerRow Row, LayerRow? Parent, VolumeRow Volume);
}
