using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Power;

namespace SnapshotTools.Core.Engine.Snapshots;

/// <summary>Branches new heads from a snapshot's layers and makes them the present in one transaction.</summary>
internal sealed class RestoreSwitch
{
    private readonly EngineContext _context;
    private readonly RestoreChoice _choice;
    private readonly RestoreBackup _backup;
    private readonly Collecting _collecting;
    private readonly bool _newGeneration;
    private readonly List<VolumeSnapshotRow> _parts;
    private readonly List<LayerRow> _replaced;
    private readonly NewHeads _heads;
    private readonly VmConfiguration _configuration;
    private readonly string? _ofSnapshot, _variables, _own, _ofBackup;

    /// <summary>Finds out what is to be done, anew for each attempt.</summary>
    public RestoreSwitch(EngineContext context, RestoreChoice choice, RestoreBackup backup, Collecting collecting, bool newGeneration)
    {
        (_context, _choice, _backup, _collecting, _newGeneration) = (context, choice, backup, collecting, newGeneration);
        // What the memory of a backup that is kept belongs to is frozen with it, restored or not.
        var others = choice.KeepBackup ? backup.OtherParts() : [];
        var otherVolumes = Catalog.Volumes.Of(others, p => p.VolumeId);
        _parts = [.. choice.Parts, .. others];
        _replaced = [.. choice.Heads, .. Catalog.Layers.Of(otherVolumes, v => v.HeadId)];
        _configuration = Json.Read<VmConfiguration>(choice.Snapshot.Configuration);
        _heads = HeadsOver([.. choice.Restored, .. otherVolumes], [.. choice.Layers, .. Catalog.Layers.Of(others, p => p.LayerId)]);

        _ofSnapshot = choice.IsWhole ? Catalog.Machines.FirmwareOfSnapshot(choice.Snapshot.Id) : null;
        _variables = _ofSnapshot is null ? null : context.Storage.NewMemoryLocation(Guid.CreateVersion7());
        // Variables that the VM keeps are the backup's too, as a copy.
        _own = choice.KeepBackup && !choice.IsWhole ? FirmwareFiles.Of(context, choice.Vm, null) : null;
        _ofBackup = _own is null ? null : context.Storage.NewMemoryLocation(Guid.CreateVersion7());
    }

    private StoreCatalog Catalog => _context.Catalog;

    /// <summary>Writes down what will be made, in the transaction that begins the operation.</summary>
    public void Register(long operationId)
    {
        _heads.Register(operationId);
        if ((_variables ?? _ofBackup) is { } copy) Catalog.Pending.InsertFile(operationId, copy);
    }

    /// <summary>Makes the heads, and commits.</summary>
    /// <returns>Whether no layer is left that nothing needs.</returns>
    public bool Run(OperationRun run)
    {
        bool isTidy = false;
        _heads.Create();
        if (_variables is not null) FirmwareFiles.Copy(_context, _ofSnapshot!, _variables);
        if (_ofBackup is not null) FirmwareFiles.Copy(_context, _own!, _ofBackup);
        run.Log($"{_parts.Count} new heads are durable");
        if (_choice.KeepBackup) _context.Storage.MakeDurable([.. _replaced.Select(l => l.File)]);
        var kept = _choice.KeepBackup ? _replaced.ConvertAll(l => LayerFiles.Measure(_context.Storage, l)) : [];
        run.Cancellation.ThrowIfCancellationRequested();
        run.Commit(() =>
        {
            if (_choice.KeepBackup && _backup.Find() is null) _backup.Insert();
            if (_choice.IsWhole) Adopt(_variables);
            if (_ofBackup is not null) GiveToBackup(_ofBackup);
            if (!_choice.KeepBackup && _backup.Find() is { } temporary) _backup.Delete(temporary);
            _heads.Commit(_parts.ConvertAll(p => p.Id));
            for (int i = 0; i < kept.Count; i++) Catalog.Layers.Freeze(_replaced[i].Id, kept[i]);
            isTidy = Collect();
            Catalog.Machines.SetMemory(_choice.Vm.Id, _choice.Memory);
            if (_choice.IsWhole)
            {
                Catalog.Machines.SetPresent(_choice.Vm.Id, _choice.Snapshot.Id);
                Catalog.Machines.SetConfiguration(_choice.Vm.Id, _configuration);
            }
            if (_newGeneration) Catalog.Machines.SetNewGeneration(_choice.Vm.Id);
            Catalog.Machines.SetError(_choice.Vm.Id, null, null);
        });
        run.Afterwards(() =>
        {
            if (_choice.KeepBackup)
                foreach (var layer in _replaced) _context.Storage.SetFrozen(layer.File, true);
            _heads.Publish();
        });
        run.Log("the stable paths lead to the new heads");
        return isTidy;
    }

    private NewHeads HeadsOver(List<VolumeRow> volumes, List<LayerRow> layers)
    {
        var heads = new NewHeads(_context);
        var identities = _context.IdentitiesOf(_parts, _context.IdentityOf(_choice.Snapshot, _configuration));
        for (int i = 0; i < _parts.Count; i++)
            heads.Add(volumes[i], layers[i], _parts[i].VmSnapshotId == _choice.Snapshot.Id ? identities[i] : _context.IdentityOf(_parts[i]));
        return heads;
    }

    /// <summary>Drops what nothing needs now, and says whether that is all: what has to be merged takes longer.</summary>
    private bool Collect()
    {
        var plans = _collecting.PlanAround(_replaced.ToDictionary(l => l.VolumeId!.Value, l => new[] { l.Id, l.ParentId ?? l.Id }), _choice.KeepBackup ? null : _replaced.ConvertAll(l => l.Id)).Values;
        _collecting.DropDeleted(plans);
        return plans.All(p => p.Merges.Count == 0);
    }

    /// <summary>The VM gets the snapshot's firmware variables, or none as then; its own go to the backup, if that stays.</summary>
    private void Adopt(string? variables)
    {
        if (_choice.KeepBackup && _backup.Find() is { } kept && Catalog.Machines.FirmwareOfSnapshot(kept.Id) is null) Catalog.Machines.GiveFirmware(_choice.Vm.Id, kept.Id);
        Catalog.Machines.DropFirmware(_choice.Vm.Id);
        if (variables is not null) Catalog.Machines.SetFirmware(_choice.Vm.Id, variables);
    }

    private void GiveToBackup(string variables)
    {
        if (_backup.Find() is { } kept) Catalog.Machines.SetFirmwareOfSnapshot(kept.Id, variables);
    }
}
