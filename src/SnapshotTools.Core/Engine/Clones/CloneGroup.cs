using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Power;

namespace SnapshotTools.Core.Engine.Clones;

/// <summary>
/// Clones of several volumes from one instant: the heads of those that are cloned from their present are frozen together, and a
/// running machine is switched to new heads on the way, as for a snapshot that nobody names. Each clone is a head over the
/// frozen layer; one that is to be copied has an empty frozen layer between, whose place the copy takes when it is complete.
/// </summary>
internal sealed class CloneGroup(EngineContext context, IReadOnlyList<CloneSource> sources, bool linked, CopyPace pace)
{
    private readonly List<Entry> _entries = [];

    private StoreCatalog Catalog => context.Catalog;

    /// <summary>The clones' names, ids and rows, in the order of the sources; the rows once they are made.</summary>
    public IReadOnlyList<Entry> Entries => _entries;

    /// <summary>Every source, and the VMs that write to one.</summary>
    public IReadOnlyCollection<LockKey> Locks()
    {
        var keys = new HashSet<LockKey>();
        foreach (var source in sources)
        {
            var volume = context.ResolveVolume(source.Volume);
            keys.Add(LockKey.Volume(volume.Id));
            if (source.Snapshot is null) keys.UnionWith(Catalog.Machines.AllAttachmentsOf(volume.Id).Select(a => LockKey.Vm(a.VmId)));
        }
        return keys;
    }

    /// <summary>Checks the rules; says what will be done.</summary>
    public List<PlanStep> Plan()
    {
        _entries.Clear();
        if (sources.Count == 0) throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, "No volume to clone is named.");
        if (pace.MaxBytesPerSecond is < 4096 || pace.MaxConcurrency is < 1)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, "A copy cannot be slower than 4096 bytes a second, nor can fewer than one run at once.");
        var steps = new List<PlanStep>();
        foreach (var source in sources)
        {
            var entry = Resolve(source);
            _entries.Add(entry);
            string from = entry.Snapshot is null ? $"volume '{entry.Source.Name}'" : $"snapshot '{entry.Snapshot.Name}' of volume '{entry.Source.Name}'";
            if (entry.Freezes && _entries.Count(e => e.Freezes && e.Source.Id == entry.Source.Id) == 1)
                steps.Add(new PlanStep(PlanAction.Freeze, entry.Source.Name, $"freeze the head of volume '{entry.Source.Name}' and put a new empty one over it"));
            steps.Add(new PlanStep(PlanAction.Branch, entry.Name, $"make volume '{entry.Name}' as a clone of {from}, to be used at once"));
            if (!linked)
            {
                entry.DataBytes = EstimateData(entry);
                steps.Add(new PlanStep(PlanAction.CopyData, entry.Name, $"copy up to {ByteSize.Format(entry.DataBytes)} of data behind volume '{entry.Name}'", BytesCopied: entry.DataBytes));
            }
        }
        Space = NewHeads.SpaceFor(context.Storage, _entries.SelectMany(e => Enumerable.Repeat(e.Base.Size, (e.Freezes ? 2 : 1) + (linked ? 0 : 1)))) + steps.Sum(s => s.BytesCopied);
        context.RequireSpace(Space, _entries.Count == 1 ? $"Cloning volume '{_entries[0].Source.Name}'" : $"Cloning {_entries.Count} volumes");
        return steps;
    }

    /// <summary>Free bytes that the clones and their copies need.</summary>
    public long Space { get; private set; }

    /// <summary>Makes the clones. <paramref name="commit"/> is part of the transaction that lets them be.</summary>
    public void Make(OperationKind kind, string target, RunOptions options, Action? commit = null)
    {
        var frozen = _entries.Where(e => e.Freezes).Select(e => e.Source).DistinctBy(v => v.Id).Select(v => (Volume: v, Head: Catalog.Layers.Get(v.HeadId))).ToList();
        var heads = new NewHeads(context);
        foreach (var (volume, head) in frozen) heads.Add(volume, head, null);
        using var machines = new SourceMachines(context, frozen.ConvertAll(f => f.Volume));
        using var reserved = context.Storage.Reserve([.. frozen.Where(f => !machines.Has(f.Volume)).Select(f => f.Head.File)]);
        using var run = OperationRun.Begin(context, kind, target, options, id =>
        {
            heads.Register(id);
            foreach (var entry in _entries) Register(entry, id);
        });
        try
        {
            heads.Create();
            var bases = _entries.Where(e => e.BaseLayer is not null).Select(e => e.BaseLayer!).ToList();
            if (bases.Count > 0) context.Storage.Create(bases);
            context.Storage.Create([.. _entries.Select(e => e.Head)]);
            run.Log($"{frozen.Count} new heads and {_entries.Count} clones are durable");
            run.Cancellation.ThrowIfCancellationRequested();
            machines.Switch(heads, run);
            var facts = frozen.ConvertAll(f => LayerFiles.Measure(context.Storage, f.Head));
            run.Commit(() =>
            {
                for (int i = 0; i < frozen.Count; i++) Catalog.Layers.Freeze(frozen[i].Head.Id, facts[i]);
                heads.Commit();
                foreach (var entry in _entries) Commit(entry, run.RowId);
                commit?.Invoke();
            });
        }
        catch (Exception error)
        {
            run.Fail(error);
            machines.Dispose();   // what is taken back asks QEMU anew, which talks to one at a time
            throw;
        }
        run.Afterwards(() =>
        {
            foreach (var (_, head) in frozen) context.Storage.SetFrozen(head.File, true);
            foreach (var entry in _entries.Where(e => e.BaseLayer is not null)) context.Storage.SetFrozen(entry.BaseLayer!.File, true);
            heads.Publish();
            foreach (var entry in _entries) context.Storage.Publish(entry.Name, entry.Head.File);
            context.Database.Write(() => _entries.ForEach(e => Catalog.Layers.SetPublished(e.VolumeId)), durable: false);
        });
    }

    /// <summary>What was made.</summary>
    public CloneResult Result() => context.Database.Read(() => new CloneResult(
        [.. _entries.Select(e => context.ToModel(Catalog.Volumes.Get(e.VolumeId)))],
        [.. _entries.Where(e => e.CopyOperationId is not null).Select(e => context.ToModel(Catalog.Operations.Get(e.CopyOperationId!.Value)))]));

    private Entry Resolve(CloneSource source)
    {
        var volume = context.ResolveVolume(source.Volume);
        string name = Names.Validate(CloneNames.Of(source.Name, volume.Name, n => Catalog.Volumes.FindByName(n) is not null || IsPlanned(n)), "volume");
        if (IsPlanned(name))
            throw new SnapshotException(ErrorIds.NameExists, ErrorKind.InvalidInput, $"Two clones would have the name '{name}'. Give each its own, or a pattern with * for the source's name: -Name '*-copy'", name);
        if (Catalog.Volumes.FindByName(name) is { } other)
            throw new SnapshotException(ErrorIds.NameExists, ErrorKind.Conflict, $"There is a volume '{other.Name}' already. Choose another name.", name);
        VolumeSnapshotRow? snapshot = null;
        if (source.Snapshot is { } id)
            snapshot = Catalog.Snapshots.FindVolumeSnapshot(id) is { } row && row.VolumeId == volume.Id ? row
                : throw new SnapshotException(ErrorIds.SnapshotNotFound, ErrorKind.NotFound, $"Volume '{volume.Name}' has no snapshot with id {id}. List them: Get-VolumeSnapshot {volume.Name}", id);
        else foreach (var attachment in Catalog.Machines.AllAttachmentsOf(volume.Id)) VmRules.RequireNoFailedRestore(Catalog.Machines.Get(attachment.VmId));
        var layer = Catalog.Layers.Get(snapshot?.LayerId ?? volume.HeadId);
        LayerFiles.Measure(context.Storage, layer);
        // A head that nothing was written to since it was made reads as the layer under it, which is frozen already.
        bool freezes = snapshot is null;
        if (freezes && layer.ParentId is { } parentId && Catalog.Layers.Get(parentId) is var parent && parent.Size == layer.Size && !context.IsInRunningVm(volume.Id) && context.Storage.IsEmpty(layer.File))
            (layer, freezes) = (parent, false);
        return new Entry(volume, snapshot, layer, freezes, name, source.Description);
    }

    private bool IsPlanned(string name) => _entries.Exists(e => string.Equals(e.Name, name, StringComparison.OrdinalIgnoreCase));

    private long EstimateData(Entry entry)
    {
        // The tables of a head that a hypervisor writes to cannot be read from outside; what its chain takes on disk is the most there can be.
        if (context.IsInRunningVm(entry.Source.Id) && entry.Freezes)
            return Math.Min(entry.Base.Size, Catalog.Layers.Chain(entry.Base.Id).Sum(l => context.Storage.Measure(l.File)?.AllocatedBytes ?? 0));
        return context.Storage.DataBytesOf(entry.Base.File);
    }

    private void Register(Entry entry, long operationId)
    {
        var source = entry.Base;
        var snapshot = entry.Snapshot is null ? null : context.IdentityOf(entry.Snapshot);
        long parentRow = source.Id;
        var parent = source.File;
        bool isDurable = entry.Freezes || source.State == LayerState.Frozen;   // what is frozen on the way is so before the clones are made
        if (!linked)
        {
            var file = context.Storage.NewLayerFile(Guid.CreateVersion7());
            entry.BaseLayer = new NewLayer(file, parent, source.Size, entry.Source.ClusterSize, context.NewIdentity(file.Id, entry.Uid, entry.Name, parent.Id, snapshot)) { IsParentDurable = isDurable };
            parentRow = entry.BaseRow = Catalog.Layers.InsertPending(operationId, null, source.Id, file, source.Size);
            (parent, snapshot, isDurable) = (file, null, true);
        }
        var head = context.Storage.NewLayerFile(Guid.CreateVersion7());
        entry.Head = new NewLayer(head, parent, source.Size, entry.Source.ClusterSize, context.NewIdentity(head.Id, entry.Uid, entry.Name, parent.Id, snapshot)) { IsParentDurable = isDurable };
        entry.HeadRow = Catalog.Layers.InsertPending(operationId, null, parentRow, head, source.Size);
    }

    private void Commit(Entry entry, long batch)
    {
        if (Catalog.Volumes.FindByName(entry.Name) is not null)
            throw new SnapshotException(ErrorIds.NameExists, ErrorKind.Conflict, $"Another process made a volume '{entry.Name}' meanwhile. Choose another name.", entry.Name);
        entry.VolumeId = Catalog.Volumes.Insert(entry.Uid, entry.Name, entry.Base.Size, entry.Source.ClusterSize, entry.HeadRow, null, entry.Description ?? entry.Source.Description);
        Catalog.Layers.MakeHead(entry.HeadRow, entry.VolumeId);
        if (entry.BaseLayer is { } layer)
        {
            Catalog.Layers.MakeFrozen(entry.BaseRow, entry.VolumeId, context.Storage.Measure(layer.File)!);
            entry.CopyOperationId = CopyQueue.Add(context, batch, entry.Name, entry.VolumeId, entry.BaseRow, entry.Source.Id, entry.DataBytes, pace).Id;
        }
        Catalog.Layers.ForgetGarbage([context.Storage.PublishedLocation(entry.Name)]);   // of a volume that had the name before
        Catalog.Layers.SetUnpublished(entry.VolumeId);
    }

    /// <summary>One clone.</summary>
    /// <param name="Source">The volume that it is made of.</param>
    /// <param name="Snapshot">The snapshot that it is made of, or null.</param>
    /// <param name="Base">The layer that it is to read as: frozen, or the source's head that is frozen on the way.</param>
    /// <param name="Freezes">Whether the source's head is frozen.</param>
    /// <param name="Name">The clone's name.</param>
    /// <param name="Description">What it is for.</param>
    internal sealed record Entry(VolumeRow Source, VolumeSnapshotRow? Snapshot, LayerRow Base, bool Freezes, string Name, string? Description)
    {
        public Guid Uid { get; } = Guid.CreateVersion7();

        public long DataBytes { get; set; }

        public NewLayer? BaseLayer { get; set; }

        public long BaseRow { get; set; }

        public NewLayer Head { get; set; } = null!;

        public long HeadRow { get; set; }

        public long VolumeId { get; set; }

        public long? CopyOperationId { get; set; }
    }
}
