using System.Globalization;
using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Upkeep;

namespace SnapshotTools.Core.Engine.Repair;

/// <summary>Mends what a test of the store finds, one finding at a time: what can only be named does not keep the rest from being mended.</summary>
internal sealed class RepairStore(EngineContext context, IReadOnlyList<string> searchIn) : Command<IReadOnlyList<StoreRepair>>(context)
{
    private const int Rounds = 3;

    private List<Action> _actions = [];

    protected override IReadOnlyCollection<LockKey> Locks() => [.. Catalog.Volumes.All().Select(v => LockKey.Volume(v.Id))];

    protected override OperationPlan Plan()
    {
        _actions = Find();
        var mendable = _actions.FindAll(a => a.Do is not null);
        return new OperationPlan
        {
            Kind = OperationKind.Repair,
            Target = Context.Store,
            Summary = _actions.Count == 0 ? $"Store '{Context.Store}' is sound; nothing is done."
                : string.Create(CultureInfo.InvariantCulture, $"Mend {mendable.Count} of {_actions.Count} findings in store '{Context.Store}'."),
            Steps = [.. _actions.Select(a => new PlanStep(a.Kind, a.Finding.Subject, a.Do is null ? $"leave '{a.Finding.Subject}', which cannot be mended by itself: {a.Finding.Message}" : a.Text))],
        };
    }

    protected override IReadOnlyList<StoreRepair> Execute(OperationPlan plan, RunOptions options)
    {
        if (_actions.Count == 0) return [];
        using var run = OperationRun.Begin(Context, OperationKind.Repair, plan.Target, options);
        try
        {
            var done = new List<StoreRepair>();
            // What is mended can bring to light what it hid: a layer that is back may have counts to mend.
            for (int round = 0; round < Rounds && Next().ToList() is { Count: > 0 } next; round++)
            {
                foreach (var action in next) done.Add(Mend(action, run));
                _actions = Find();
            }
            run.Commit(() => { });
            return [.. done, .. _actions.Where(a => !HasFailed(a)).Select(a => new StoreRepair(a.Finding.Code, a.Finding.Subject, false, a.Finding.Message))];

            IEnumerable<Action> Next() => _actions.Where(a => a.Do is not null && !HasFailed(a));

            bool HasFailed(Action a) => done.Exists(d => d.Code == a.Finding.Code && d.Subject == a.Finding.Subject && !d.IsMended);
        }
        catch (Exception error)
        {
            run.Fail(error);
            throw;
        }
    }

    private StoreRepair Mend(Action action, OperationRun run)
    {
        try
        {
            run.Cancellation.ThrowIfCancellationRequested();
            // A machine may have been started from a file that is about to be written, or moved away under it.
            using var reserved = Storage.Reserve([.. action.Touched.Where(f => Storage.Measure(f) is not null)]);
            action.Do!();
            run.Log($"mended {action.Finding.Code} of {action.Finding.Subject}");
            return new StoreRepair(action.Finding.Code, action.Finding.Subject, true, $"Done: {action.Text}.");
        }
        catch (Exception error) when (error is IOException or SnapshotException or UnauthorizedAccessException)
        {
            return new StoreRepair(action.Finding.Code, action.Finding.Subject, false, $"{action.Finding.Message} It could not be mended: {error.Message}");
        }
    }

    private List<Action> Find()
    {
        var findings = new StoreTest(Context, RunOptions.Default, isAlone: true).Run();
        if (findings.Count == 0) return [];
        var layers = Catalog.Layers.All();
        var files = Storage.Survey(searchIn);
        return [.. findings.Where(f => f.Code != FindingCodes.LayerUnneeded).GroupBy(f => (f.Subject, f.Code)).Select(g => g.First()).Select(f => For(f, layers, files))
            .GroupBy(a => (a.Finding.Subject, a.Text)).Select(g => g.First())];
    }

    private Action For(StoreFinding finding, List<LayerRow> layers, IReadOnlyList<FoundLayer> files)
    {
        var layer = layers.Find(l => l.Location == finding.Subject);
        switch (finding.Code)
        {
            case FindingCodes.StablePathWrong:
                var volume = Catalog.Volumes.FindByName(finding.Subject)!;
                return new Action(finding, PlanAction.Publish, StablePaths.Step(volume.Name).Description, () => new StablePaths(Context).Mend(volume.Id, isLocked: true));
            case FindingCodes.LinkLeft:
                return new Action(finding, PlanAction.Publish, StablePaths.StepOfLeft(finding.Subject).Description, () => Storage.Delete([finding.Subject], isDurable: false));
            case FindingCodes.FileUnknown:
                return new Action(finding, PlanAction.Quarantine, $"take '{finding.Subject}' into quarantine", () => Storage.Quarantine(finding.Subject))
                {
                    Touched = [new LayerFile(Guid.Empty, finding.Subject, LayerFormat.Raw, External: false)],
                };
            case FindingCodes.LayerMissing or FindingCodes.LayerExchanged or FindingCodes.LayerUnreadable when layer is not null && Elsewhere(layer, layers, files) is { } found:
                return OnLayer($"put '{found.Location}', which is this layer by its own identity, back to '{layer.Location}'", () => Storage.PutBack(found.Location, layer.File), FileAt(found));
            case FindingCodes.LayerMissing or FindingCodes.LayerExchanged or FindingCodes.LayerUnreadable when layer is not null && CopiesOf(layer, files).FirstOrDefault() is { } older:
                return Left($"{finding.Message} '{older.Location}' has its identity and is of another time: it lies on another base than the catalog says, or has another length.");
            case FindingCodes.LayerDamaged or FindingCodes.LayerLeaks when layer is not null && Storage.DescribeRepair(layer.File) is { } repair:
                return OnLayer($"repair '{finding.Subject}': {repair}", () => Storage.Repair(layer.File));
            case FindingCodes.LayerBaseWrong or FindingCodes.LayerWithoutIdentity when layer is not null && CanRename(layer, layers, files):
                return OnLayer($"let '{finding.Subject}' name its base and itself as the catalog does",
                    () => Storage.Rename(layer.File, layer.ParentId is { } id ? Catalog.Layers.Get(id).File : null, Context.IdentityOf(layer, Catalog.Volumes.Get(layer.VolumeId!.Value))));
            default:
                return Left(finding.Message);
        }

        Action Left(string message) => new(finding with { Message = message }, PlanAction.Update, message, null);

        Action OnLayer(string text, System.Action mend, params LayerFile[] others) => new(finding, PlanAction.Mend, text, () =>
        {
            // What somebody wrote to it after it was frozen stays a finding, whatever else is mended.
            bool isAsFrozen = others.Length > 0 || Storage.Measure(layer!.File) is { } before && before.Length == layer.Length && before.ModifiedAt == layer.ModifiedAt;
            mend();
            if (isAsFrozen) LayerFiles.Refreeze(Context, layer!);
            else if (layer!.State == LayerState.Frozen) Storage.SetFrozen(layer.File, true);
        })
        {
            Touched = [layer!.File, .. others],
        };
    }

    /// <summary>
    /// The same layer by its own identity, in another place, where it is not the layer of that place. A copy from before a merge has the same identity
    /// and is another one: it lies on another base, or, where it is frozen, has another length.
    /// </summary>
    private FoundLayer? Elsewhere(LayerRow layer, List<LayerRow> layers, IReadOnlyList<FoundLayer> files)
    {
        string? baseLocation = layers.Find(l => l.Id == layer.ParentId)?.Location;
        return CopiesOf(layer, files).FirstOrDefault(f => f.Backing == baseLocation && (layer.State != LayerState.Frozen || Storage.Measure(FileAt(f))?.Length == layer.Length));
    }

    private static IEnumerable<FoundLayer> CopiesOf(LayerRow layer, IReadOnlyList<FoundLayer> files) =>
        files.Where(f => f.Identity?.Layer == layer.Uid && f.Location != layer.Location && f.Error is null);

    private static LayerFile FileAt(FoundLayer found) => new(found.Identity!.Layer, found.Location, LayerFormat.Qcow2, External: false);

    /// <summary>The base that the catalog says must be there and be the one, and the layer must have been made over it, or it would read other data than before.</summary>
    private bool CanRename(LayerRow layer, List<LayerRow> layers, IReadOnlyList<FoundLayer> files)
    {
        if (files.FirstOrDefault(f => f.Location == layer.Location) is not { Error: null } self) return false;
        if (self.Identity is { } identity && identity.Layer != layer.Uid) return false;
        if (layers.Find(l => l.Id == layer.ParentId) is not { } parent) return layer.ParentId is null && self.Backing is null;
        if (self.Backing != parent.Location && self.Identity?.Parent != parent.Uid) return false;
        return parent.External ? Storage.Measure(parent.File) is not null : files.FirstOrDefault(f => f.Location == parent.Location)?.Identity?.Layer == parent.Uid;
    }

    private sealed record Action(StoreFinding Finding, PlanAction Kind, string Text, System.Action? Do)
    {
        /// <summary>The files that it writes or moves.</summary>
        public IReadOnlyList<LayerFile> Touched { get; init; } = [];
    }
}

/// <summary>Deletes what repairs took into quarantine.</summary>
internal sealed class EmptyQuarantine(EngineContext context) : Command<long>(context)
{
    private List<FoundLayer> _files = [];

    protected override IReadOnlyCollection<LockKey> Locks() => [];

    protected override OperationPlan Plan()
    {
        _files = [.. Storage.Survey([]).Where(f => f.Location.StartsWith("quarantine/", StringComparison.Ordinal))];
        return new OperationPlan
        {
            Kind = OperationKind.Repair,
            Target = Context.Store,
            Summary = string.Create(CultureInfo.InvariantCulture, $"Delete the {_files.Count} files in the quarantine of store '{Context.Store}'."),
            Steps = [.. _files.Select(f => new PlanStep(PlanAction.DeleteFile, f.Location, $"delete '{f.Location}'"))],
            Lost = [.. _files.Select(f => $"'{f.Location}'{(f.Identity is { } i ? $", once a layer of volume '{i.VolumeName}'" : "")}")],
        };
    }

    // What another repair has taken there since was not in the plan, and stays.
    protected override long Execute(OperationPlan plan, RunOptions options) => Storage.DeleteQuarantined(_files.ConvertAll(f => f.Location));
}
