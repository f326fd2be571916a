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
    private readonly Dictionary<string, Origin> _origins = [];
    private readonly Dictionary<long, SnapshotIdentity> _identities = [];

    private StoreCatalog Catalog => context.Catalog;

    /// <summary>The clones' names, ids and rows, in the order of the sources; the rows once they are made.</summary>
    public IReadOnlyList<Entry> Entries => _entries;

    /// <summary>Every source, and the VMs that write to one.</summary>
    public IReadOnlyCollection<LockKey> Locks()
    {
        var keys = new HashSet<LockKey>();
        foreach (var clones in sources.GroupBy(s => s.Volume))
        {
            var volume = context.ResolveVolume(clones.Key);
            keys.Add(LockKey.Volume(volume.Id));
            if (clones.Any(c => c.Snapshot is null)) keys.UnionWith(Catalog.Machines.AllAttachmentsOf(volume.Id).Select(a => LockKey.Vm(a.VmId)));
        }
        return keys;
    }

    /// <summary>Checks the rules; says what will be done.</summary>
    public List<PlanStep> Plan()
    {
        _entries.Clear();
        _origins.Clear();
        _identities.Clear();
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

    /// <summary>Makes the clones.</summary>
    /// <param name="kind">Of which operation this is.</param>
    /// <param name="target">What is cloned.</param>
    /// <param name="options">How to run.</param>
    /// <param name="firmware">What is copied with them, right after the instant.</param>
    /// <param name="commit">Part of the transaction that lets them be.</param>
    public void Make(OperationKind kind, string target, RunOptions options, FirmwareCopies? firmware = null, Action? commit = null)
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
            firmware?.Register(id);
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
            firmware?.Create();
            var facts = frozen.ConvertAll(f => LayerFiles.Measure(context.Storage, f.Head));
            run.Commit(() =>
            {
                for (int i = 0; i < frozen.Count; i++) Catalog.Layers.Freeze(frozen[i].Head.Id, facts[i]);
                heads.Commit();
                foreach (var entry in _entries) Commit(entry, run.RowId);
                run.Own(_entries.Select(e => e.VolumeId));
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
    public CloneResult Result() => context.Database.Read(() =>
    {
        var below = new Dictionary<long, List<LayerRow>>();
        var volumes = Catalog.Volumes.Of(_entries, e => e.VolumeId);
        var heads = Catalog.Layers.Of(volumes, v => v.HeadId);
        return new CloneResult(
            [.. volumes.Select((v, i) => context.ToModel(v, Catalog.Volumes.AttachedTo(v.Id), 0, [heads[i], .. Below(heads[i].ParentId!.Value)]))],
            [.. _entries.Where(e => e.CopyOperationId is not null).Select(e => context.ToModel(Catalog.Operations.Get(e.CopyOperationId!.Value)))]);

        List<LayerRow> Below(long id) => below.TryGetValue(id, out var chain) ? chain : below[id] = Catalog.Layers.Chain(id);
    });

    private Entry Resolve(CloneSource source)
    {
        // Many clones of one thing are as usual as clones of many.
        string key = $"{source.Volume}/{source.Snapshot}";
        if (!_origins.TryGetValue(key, out var origin)) _origins.Add(key, origin = Find(source));
        string name = Names.Validate(CloneNames.Of(source.Name, origin.Volume.Name, n => Catalog.Volumes.FindByName(n) is not null || IsPlanned(n)), "volume");
        if (IsPlanned(name))
            throw new SnapshotException(ErrorIds.NameExists, ErrorKind.InvalidInput, $"Two clones would have the name '{name}'. Give each its own, or a pattern with * for the source's name: -Name '*-copy'", name);
        if (Catalog.Volumes.FindByName(name) is { } other)
            throw new SnapshotException(ErrorIds.NameExists, ErrorKind.Conflict, $"There is a volume '{other.Name}' already. Choose another name.", name);
        return new Entry(origin.Volume, origin.Snapshot, origin.Base, origin.Freezes, name, source.Description);
    }

    /// <summary>What a clone is made of.</summary>
    private Origin Find(CloneSource source)
    {
        var volume = context.ResolveVolume(source.Volume);
        VolumeSnapshotRow? snapshot = null;
        if (source.Snapshot is { } id)
            snapshot = Catalog.Snapshots.FindVolumeSnapshot(id) is { } row && row.VolumeId == volume.Id ? row
                : throw new SnapshotException(ErrorIds.SnapshotNotFound, ErrorKind.NotFound, $"Volume '{volume.Name}' has no snapshot with id {id}. List them: Get-VolumeSnapshot {volume.Name}", id);
        else foreach (var attachment in Catalog.Machines.AllAttachmentsOf(volume.Id)) VmRules.RequireNoFailedRestore(Catalog.Machines.Get(attachment.VmId));
        var layer = Catalog.Layers.Get(snapshot?.LayerId ?? volume.HeadId);
        if (snapshot is not null) VolumeRules.RequireFrozen(context, snapshot, layer);
        LayerFiles.Measure(context.Storage, layer);
        // A head that nothing was written to since it was made reads as the layer under it, which is frozen already.
        bool freezes = snapshot is null;
        if (freezes && layer.ParentId is { } parentId && Catalog.Layers.Get(parentId) is var parent && parent.Size == layer.Size && !context.IsInRunningVm(volume.Id) && context.Storage.IsEmpty(layer.File))
            (layer, freezes) = (parent, false);
        return new Origin(volume, snapshot, layer, freezes);
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
        var snapshot = entry.Snapshot is null ? null : IdentityOf(entry.Snapshot);
        var parent = source.File;
        bool isDurable = entry.Freezes || source.State == LayerState.Frozen;   // what is frozen on the way is so before the clones are made
        if (!linked)
        {
            var file = context.Storage.NewLayerFile(Guid.CreateVersion7());
            entry.BaseLayer = new NewLayer(file, parent, source.Size, entry.Source.ClusterSize, context.NewIdentity(file.Id, entry.Uid, entry.Name, parent.Id, snapshot)) { IsParentDurable = isDurable };
            Catalog.Pending.Insert(operationId, file, source.Id, source.Size);
            (parent, snapshot, isDurable) = (file, null, true);
        }
        var head = context.Storage.NewLayerFile(Guid.CreateVersion7());
        entry.Head = new NewLayer(head, parent, source.Size, entry.Source.ClusterSize, context.NewIdentity(head.Id, entry.Uid, entry.Name, parent.Id, snapshot)) { IsParentDurable = isDurable };
        Catalog.Pending.Insert(operationId, head, linked ? source.Id : null, source.Size);
    }

    private SnapshotIdentity IdentityOf(VolumeSnapshotRow snapshot) =>
        _identities.TryGetValue(snapshot.Id, out var known) ? known : _identities[snapshot.Id] = context.IdentityOf(snapshot);

    private void Commit(Entry entry, long batch)
    {
        if (Catalog.Volumes.FindByName(entry.Name) is not null)
            throw new SnapshotException(ErrorIds.NameExists, ErrorKind.Conflict, $"Another process made a volume '{entry.Name}' meanwhile. Choose another name.", entry.Name);
        entry.VolumeId = Catalog.Volumes.Insert(entry.Uid, entry.Name, entry.Base.Size, entry.Source.ClusterSize, null, entry.Description ?? entry.Source.Description);
        long parentId = entry.Base.Id;
        if (entry.BaseLayer is { } layer)
        {
            parentId = Catalog.Layers.InsertFrozen(entry.VolumeId, parentId, layer.File, layer.Size, context.Storage.Measure(layer.File)!);
            entry.CopyOperationId = CopyQueue.Add(context, batch, entry.Name, entry.VolumeId, parentId, entry.Source.Id, entry.DataBytes, pace).Id;
        }
        Catalog.Volumes.SetHead(entry.VolumeId, Catalog.Layers.InsertHead(entry.VolumeId, parentId, entry.Head.File, entry.Head.Size), entry.Head.Size);
        Catalog.Layers.ForgetGarbage([context.Storage.PublishedLocation(entry.Name)]);   // of a volume that had the name before
        Catalog.Layers.SetUnpublished(entry.VolumeId);
    }

    /// <summary>What some of the clones are made of; see <see cref="Entry"/>.</summary>
    private sealed record Origin(VolumeRow Volume, VolumeSnapshotRow? Snapshot, LayerRow Base, bool Freezes);

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

        public NewLayer Head { get; set; } = null!;

        public long VolumeId { get; set; }

        public long? CopyOperationId { get; set; }
    }
}
