using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Power;

namespace SnapshotTools.Core.Engine.Snapshots;

/// <summary>Branches new heads from a snapshot's layers and makes them the present in one transaction.</summary>
internal sealed class RestoreSwitch(EngineContext context, RestoreChoice choice, RestoreBackup backup, Collecting collecting, bool newGeneration)
{
    private StoreCatalog Catalog => context.Catalog;

    /// <summary>Layers that may not be needed any more, by their volumes.</summary>
    public IReadOnlyDictionary<long, long[]>? Released { get; private set; }

    public void Run(OperationRun run)
    {
        // What the memory of a backup that is kept belongs to is frozen with it, restored or not.
        List<VolumeSnapshotRow> parts = [.. choice.Parts, .. choice.KeepBackup ? backup.OtherParts() : []];
        var volumes = parts.ConvertAll(p => Catalog.Volumes.Get(p.VolumeId));
        var replaced = volumes.ConvertAll(v => Catalog.Layers.Get(v.HeadId));
        Released = replaced.ToDictionary(l => l.VolumeId!.Value, l => new[] { l.Id, l.ParentId ?? l.Id });
        var heads = new NewHeads(context);
        var whole = context.IdentityOf(choice.Snapshot);
        for (int i = 0; i < parts.Count; i++)
            heads.Add(volumes[i], Catalog.Layers.Get(parts[i].LayerId), context.IdentityOf(parts[i], parts[i].VmSnapshotId == choice.Snapshot.Id ? whole : null));

        bool isWhole = choice.Parts.Count == Catalog.Snapshots.OfVmSnapshot(choice.Snapshot.Id).Count;
        string? ofSnapshot = isWhole ? Catalog.Machines.FirmwareOfSnapshot(choice.Snapshot.Id) : null;
        string? variables = ofSnapshot is null ? null : context.Storage.NewMemoryLocation(Guid.CreateVersion7());
        // Variables that the VM keeps are the backup's too, as a copy.
        string? own = choice.KeepBackup && variables is null ? FirmwareFiles.Of(context, choice.Vm) : null;
        string? ofBackup = own is null ? null : context.Storage.NewMemoryLocation(Guid.CreateVersion7());
        run.Register(id =>
        {
            heads.Register(id);
            if ((variables ?? ofBackup) is { } copy) Catalog.Layers.InsertPendingMemory(id, Guid.CreateVersion7(), copy);
        });
        heads.Create();
        if (variables is not null) FirmwareFiles.Copy(context, ofSnapshot!, variables);
        if (ofBackup is not null) FirmwareFiles.Copy(context, own!, ofBackup);
        run.Log($"{parts.Count} new heads are durable");
        if (choice.KeepBackup) context.Storage.MakeDurable([.. replaced.Select(l => l.File)]);
        var facts = replaced.ConvertAll(l => LayerFiles.Measure(context.Storage, l));
        run.Cancellation.ThrowIfCancellationRequested();
        run.Commit(() =>
        {
            if (choice.KeepBackup && backup.Find() is null) backup.Insert();
            if (variables is not null) Adopt(variables);
            if (ofBackup is not null) GiveToBackup(ofBackup);
            if (!choice.KeepBackup && backup.Find() is { } temporary) backup.Delete(temporary);
            heads.Commit();
            for (int i = 0; i < volumes.Count; i++)
            {
                Catalog.Layers.Freeze(replaced[i].Id, facts[i]);
                Catalog.Volumes.SetPresent(volumes[i].Id, parts[i].Id);
            }
            if (!choice.KeepBackup)
                for (int i = 0; i < volumes.Count; i++) collecting.DropDeleted(collecting.PlanAround(volumes[i].Id, [replaced[i].Id]));
            Catalog.Machines.SetMemory(choice.Vm.Id, isWhole ? choice.Snapshot.Memory : null);   // otherwise it would be of other disks
            if (isWhole)
            {
                Catalog.Machines.SetPresent(choice.Vm.Id, choice.Snapshot.Id);
                Catalog.Machines.SetConfiguration(choice.Vm.Id, Json.Read<VmConfiguration>(choice.Snapshot.Configuration));
            }
            if (newGeneration) Catalog.Machines.SetNewGeneration(choice.Vm.Id);
            Catalog.Machines.SetError(choice.Vm.Id, null, null);
        });
        run.Afterwards(() =>
        {
            if (choice.KeepBackup)
                foreach (var layer in replaced) context.Storage.SetFrozen(layer.File, true);
            heads.Publish();
        });
        run.Log("the stable paths lead to the new heads");
    }

    /// <summary>The VM gets the snapshot's firmware variables; its own go to the backup, if that stays.</summary>
    private void Adopt(string variables)
    {
        Catalog.Layers.KeepPendingMemory(variables);
        if (Catalog.Machines.Firmware(choice.Vm.Id) is { } old)
        {
            if (choice.KeepBackup && backup.Find() is { } kept && Catalog.Machines.FirmwareOfSnapshot(kept.Id) is null) Catalog.Machines.SetFirmwareOfSnapshot(kept.Id, old);
            else Catalog.Layers.AddGarbage(old);
        }
        Catalog.Machines.SetFirmware(choice.Vm.Id, variables);
    }

    private void GiveToBackup(string variables)
    {
        Catalog.Layers.KeepPendingMemory(variables);
        if (backup.Find() is { } kept) Catalog.Machines.SetFirmwareOfSnapshot(kept.Id, variables);
    }
}
