using System.Globalization;
using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Power;

namespace SnapshotTools.Core.Engine.Snapshots;

/// <summary>
/// The backup snapshot of a restore: the present state from before it. That of a VM which runs has its memory and all of its
/// volumes, is taken before the machine ends, and with it the VM is in state Error until the restore is committed: whatever
/// happens in between, the guest can go on in the very second in which it was stopped.
/// </summary>
internal sealed class RestoreBackup(EngineContext context, RestoreChoice choice)
{
    private readonly DateTimeOffset _createdAt = DateTimeOffset.UtcNow;
    private Guid? _id = choice.Failed?.Backup;

    private StoreCatalog Catalog => context.Catalog;

    /// <summary>The backup, when it is in the catalog.</summary>
    public VmSnapshotRow? Find() => _id is null ? null : Catalog.Snapshots.OfVm(choice.Vm.Id).Find(s => s.Uid == _id);

    /// <summary>Whether a backup that is kept has the memory of a suspended VM: when it has all disks that belong to it.</summary>
    public static bool KeepsSuspendedMemory(EngineContext context, RestoreChoice choice) => choice.KeepBackup && OtherVolumes(context, choice).Count == 0;

    /// <summary>The VM's volumes that are not restored.</summary>
    public static List<VolumeRow> OtherVolumes(EngineContext context, RestoreChoice choice) =>
        context.Catalog.Machines.Attachments(choice.Vm.Id).FindAll(a => !choice.Parts.Exists(p => p.VolumeId == a.VolumeId)).ConvertAll(a => context.Catalog.Volumes.Get(a.VolumeId));

    /// <summary>Those parts of the backup in the catalog whose volumes are not restored.</summary>
    public List<VolumeSnapshotRow> OtherParts() =>
        Find() is { } row ? Catalog.Snapshots.OfVmSnapshot(row.Id).FindAll(b => !choice.Parts.Exists(p => p.VolumeId == b.VolumeId)) : [];

    /// <summary>Ends the VM's machine, if it has one; its memory is the backup's, where it can be kept.</summary>
    public void StopMachine(OperationPlan plan, RunOptions options)
    {
        using var machine = context.FindOwnMachine(choice.Vm);
        if (machine is null) return;
        if (choice.Failed is not null) TurnOff(machine, options);   // a session died right before this; the backup has its memory
        else if (choice.WhyNoMemory is { } why) TurnOffWithoutMemory(machine, why, options);
        else
        {
            try
            {
                StopWithMemory(machine, plan, options);
            }
            catch (SnapshotException error) when (error.ErrorId is ErrorIds.MemoryNotAvailable or ErrorIds.ComputeFailed && Find() is null)
            {
                TurnOffWithoutMemory(machine, error.Message, options);
            }
        }
        options.Log?.Invoke($"VM '{choice.Vm.Name}' is stopped");
    }

    /// <summary>The present becomes the backup. While the VM is in state Error its layers are still the heads, and nobody writes to them.</summary>
    /// <param name="memory">The memory that belongs to it; that a suspended VM goes on from, when null.</param>
    /// <param name="memoryBytes">The bytes of the memory.</param>
    public void Insert(string? memory = null, long memoryBytes = 0)
    {
        var volumes = choice.Parts.ConvertAll(p => Catalog.Volumes.Get(p.VolumeId));
        var others = OtherVolumes(context, choice);
        if (memory is not null) volumes.AddRange(others);
        else if (others.Count == 0 && choice.Vm.SuspendedMemory is { } suspended)
            (memory, memoryBytes) = (suspended, Catalog.Snapshots.FindByMemory(choice.Vm.Id, suspended)?.MemoryBytes ?? 0);
        string name = Names.Validate(string.Create(CultureInfo.InvariantCulture, $"backup-{_createdAt:yyyy-MM-dd'T'HH-mm-ss-fff'Z'}"), "snapshot");
        var row = new VmSnapshotRow(0, Guid.CreateVersion7(), choice.Vm.Id, choice.Vm.PresentId, name, _createdAt, $"The state before the restore of '{choice.Snapshot.Name}'", "[]", null,
            memory is not null || others.Count == 0 ? SnapshotScope.All : SnapshotScope.Named, memory is null ? SnapshotConsistency.Crash : SnapshotConsistency.Memory, IsBackup: true, null, memory, memoryBytes, Json.Write(context.ConfigurationOf(choice.Vm)));
        long id = Catalog.Snapshots.Insert(row);
        for (int i = 0; i < volumes.Count; i++)
            Catalog.Snapshots.InsertVolumeSnapshot(new VolumeSnapshotRow(0, Guid.CreateVersion7(), volumes[i].Id, volumes[i].PresentId, id, i, name, _createdAt, null, volumes[i].HeadId));
        _id = row.Uid;
    }

    /// <summary>Puts the VM into state Error, with its backup.</summary>
    public void SetError(string why)
    {
        if (Find() is null) Insert();   // the transaction of an earlier one may have been taken back
        Catalog.Machines.SetError(choice.Vm.Id, why, Json.Write(new FailedRestore(choice.Snapshot.Uid, [.. choice.Volumes], _id!.Value, choice.KeepBackup, choice.Ran ? choice.State : null)));
    }

    /// <summary>The present is the backup's state again, with the memory of then.</summary>
    public void Return()
    {
        if (Find() is { } backup)
        {
            if (backup.Memory is not null) Catalog.Machines.SetMemory(choice.Vm.Id, backup.Memory);
            Delete(backup);
        }
        Catalog.Machines.SetError(choice.Vm.Id, null, null);
    }

    public void Delete(VmSnapshotRow backup)
    {
        Catalog.Snapshots.OfVmSnapshot(backup.Id).ForEach(Catalog.Snapshots.DeleteVolumeSnapshot);
        Catalog.Snapshots.Delete(backup);
    }

    private void StopWithMemory(IRunningMachine machine, OperationPlan plan, RunOptions options)
    {
        string location = context.Storage.NewMemoryLocation(Guid.CreateVersion7());
        using var run = OperationRun.Begin(context, OperationKind.Restore, plan.Target, options, id => Catalog.Pending.InsertFile(id, location));
        try
        {
            using var standing = machine.Suspend(context.Storage.PathOf(location), run.Cancellation);
            run.Log($"the guest stands, and the memory of the backup is durable: {ByteSize.Format(standing.MemoryBytes)}");
            context.Storage.MakeDurable([.. Catalog.Machines.Attachments(choice.Vm.Id).Select(a => Catalog.Layers.Get(Catalog.Volumes.Get(a.VolumeId).HeadId).File)]);
            standing.Keep();
            run.Commit(() =>
            {
                Insert(location, standing.MemoryBytes);
                SetError("it was interrupted.");
            });
            standing.End();
        }
        catch (SnapshotException error) when (error.ErrorId == ErrorIds.NotEnoughSpace)
        {
            run.Fail(error);
            throw new SnapshotException(error.ErrorId, error.Kind, $"There is no room for the memory of VM '{choice.Vm.Name}', from which it would go on should the restore fail: {error.Message} The VM runs on; nothing was changed. Free some space; or turn it off first, by which its memory is lost: Stop-VmInstance {choice.Vm.Name} -TurnOff", choice.Vm.Name, cause: error);
        }
        catch (Exception error)
        {
            run.Fail(error);
            throw;
        }
    }

    private void TurnOffWithoutMemory(IRunningMachine machine, string why, RunOptions options)
    {
        options.Warn?.Invoke($"The memory of VM '{choice.Vm.Name}' is not kept ({why.TrimEnd('.')}). {(choice.KeepBackup ? "Its backup snapshot is of its disks only; it" : "Should the restore fail, it")} boots from them.");
        TurnOff(machine, options);
    }

    private static void TurnOff(IRunningMachine machine, RunOptions options) => machine.Stop(turnOff: true, TimeSpan.Zero, options.Cancellation);
}
