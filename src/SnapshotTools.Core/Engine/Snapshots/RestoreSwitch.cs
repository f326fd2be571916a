using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Power;

namespace SnapshotTools.Core.Engine.Snapshots;

/// <summary>Branches new heads from a snapshot's layers and makes them the present in one transaction.</summary>
internal sealed class RestoreSwitch(EngineContext context, RestoreChoice choice, RestoreBackup backup, Collecting collecting, bool newGeneration)
{
    private List<VolumeSnapshotRow> _parts = [];
    private List<VolumeRow> _volumes = [];
    private List<LayerRow> _replaced = [];
    private NewHeads _heads = new(context);
    private VmConfiguration? _configuration;
    private bool _isWhole;
    private string? _ofSnapshot, _variables, _own, _ofBackup;

    private StoreCatalog Catalog => context.Catalog;

    /// <summary>Whether no layer is left that nothing needs.</summary>
    public bool IsTidy { get; private set; }

    /// <summary>Finds out what is to be done, each time anew.</summary>
    public void Prepare()
    {
        // What the memory of a backup that is kept belongs to is frozen with it, restored or not.
        var others = choice.KeepBackup ? backup.OtherParts() : [];
        var otherVolumes = Catalog.Volumes.Of(others, p => p.VolumeId);
        _parts = [.. choice.Parts, .. others];
        _volumes = [.. choice.Restored, .. otherVolumes];
        _replaced = [.. choice.Heads, .. Catalog.Layers.Of(otherVolumes, v => v.HeadId)];
        List<LayerRow> layers = [.. choice.Layers, .. Catalog.Layers.Of(others, p => p.LayerId)];
        _heads = new NewHeads(context);
        _configuration = Json.Read<VmConfiguration>(choice.Snapshot.Configuration);
        var identities = context.IdentitiesOf(_parts, context.IdentityOf(choice.Snapshot, _configuration));
        for (int i = 0; i < _parts.Count; i++)
            _heads.Add(_volumes[i], layers[i], _parts[i].VmSnapshotId == choice.Snapshot.Id ? identities[i] : context.IdentityOf(_parts[i]));

        _isWhole = choice.Parts.Count == Catalog.Snapshots.OfVmSnapshot(choice.Snapshot.Id).Count;
        _ofSnapshot = _isWhole ? Catalog.Machines.FirmwareOfSnapshot(choice.Snapshot.Id) : null;
        _variables = _ofSnapshot is null ? null : context.Storage.NewMemoryLocation(Guid.CreateVersion7());
        // Variables that the VM keeps are the backup's too, as a copy.
        _own = choice.KeepBackup && _variables is null ? FirmwareFiles.Of(context, choice.Vm) : null;
        _ofBackup = _own is null ? null : context.Storage.NewMemoryLocation(Guid.CreateVersion7());
    }

    /// <summary>Writes down what will be made, in the transaction that begins the operation.</summary>
    public void Register(long operationId)
    {
        _heads.Register(operationId);
        if ((_variables ?? _ofBackup) is { } copy) Catalog.Pending.InsertFile(operationId, copy);
    }

    /// <summary>Makes the heads, and commits.</summary>
    public void Run(OperationRun run)
    {
        _heads.Create();
        if (_variables is not null) FirmwareFiles.Copy(context, _ofSnapshot!, _variables);
        if (_ofBackup is not null) FirmwareFiles.Copy(context, _own!, _ofBackup);
        run.Log($"{_parts.Count} new heads are durable");
        if (choice.KeepBackup) context.Storage.MakeDurable([.. _replaced.Select(l => l.File)]);
        var kept = choice.KeepBackup ? _replaced.ConvertAll(l => LayerFiles.Measure(context.Storage, l)) : [];
        run.Cancellation.ThrowIfCancellationRequested();
        run.Commit(() =>
        {
            if (choice.KeepBackup && backup.Find() is null) backup.Insert();
            if (_variables is not null) Adopt(_variables);
            if (_ofBackup is not null) GiveToBackup(_ofBackup);
            if (!choice.KeepBackup && backup.Find() is { } temporary) backup.Delete(temporary);
            _heads.Commit(_parts.ConvertAll(p => p.Id));
            for (int i = 0; i < kept.Count; i++) Catalog.Layers.Freeze(_replaced[i].Id, kept[i]);
            IsTidy = Collect();
            Catalog.Machines.SetMemory(choice.Vm.Id, _isWhole ? choice.Snapshot.Memory : null);   // otherwise it would be of other disks
            if (_isWhole)
            {
                Catalog.Machines.SetPresent(choice.Vm.Id, choice.Snapshot.Id);
                Catalog.Machines.SetConfiguration(choice.Vm.Id, _configuration!);
            }
            if (newGeneration) Catalog.Machines.SetNewGeneration(choice.Vm.Id);
            Catalog.Machines.SetError(choice.Vm.Id, null, null);
        });
        run.Afterwards(() =>
        {
            if (choice.KeepBackup)
                foreach (var layer in _replaced) context.Storage.SetFrozen(layer.File, true);
            _heads.Publish();
        });
        run.Log("the stable paths lead to the new heads");
    }

    /// <summary>Drops what nothing needs now, and says whether that is all: what has to be merged takes longer.</summary>
    private bool Collect()
    {
        var plans = collecting.PlanAround(_replaced.ToDictionary(l => l.VolumeId!.Value, l => new[] { l.Id, l.ParentId ?? l.Id }), choice.KeepBackup ? null : _replaced.ConvertAll(l => l.Id)).Values;
        collecting.DropDeleted(plans);
        return plans.All(p => p.Merges.Count == 0);
    }

    /// <summary>The VM gets the snapshot's firmware variables; its own go to the backup, if that stays.</summary>
    private void Adopt(string variables)
    {
        if (Catalog.Machines.Firmware(choice.Vm.Id) is { } old)
        {
            if (choice.KeepBackup && backup.Find() is { } kept && Catalog.Machines.FirmwareOfSnapshot(kept.Id) is null) Catalog.Machines.SetFirmwareOfSnapshot(kept.Id, old);
            else Catalog.Layers.AddGarbage(old);
        }
        Catalog.Machines.SetFirmware(choice.Vm.Id, variables);
    }

    private void GiveToBackup(string variables)
    {
        if (backup.Find() is { } kept) Catalog.Machines.SetFirmwareOfSnapshot(kept.Id, variables);
    }
}
