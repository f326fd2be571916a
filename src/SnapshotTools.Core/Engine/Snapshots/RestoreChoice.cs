using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Power;

namespace SnapshotTools.Core.Engine.Snapshots;

/// <summary>What a restore is to do, by its request and by what the catalog has.</summary>
internal sealed record RestoreChoice
{
    /// <summary>The VM.</summary>
    public required VmRow Vm { get; init; }

    /// <summary>The restore that failed and is ended by this one; null for a new one.</summary>
    public FailedRestore? Failed { get; init; }

    /// <summary>The snapshot.</summary>
    public required VmSnapshotRow Snapshot { get; init; }

    /// <summary>Its parts that are restored.</summary>
    public required List<VolumeSnapshotRow> Parts { get; init; }

    /// <summary>Their volumes, in the same order.</summary>
    public required List<VolumeRow> Restored { get; init; }

    /// <summary>Their layers, in the same order.</summary>
    public required List<LayerRow> Layers { get; init; }

    /// <summary>The present heads of their volumes, in the same order.</summary>
    public required List<LayerRow> Heads { get; init; }

    /// <summary>The volumes that were asked for; empty for all.</summary>
    public required IReadOnlyList<string> Volumes { get; init; }

    /// <summary>Whether the backup snapshot stays.</summary>
    public required bool KeepBackup { get; init; }

    /// <summary>What the VM did before the restore, or before the one that failed.</summary>
    public required VmState State { get; init; }

    /// <summary>Why the memory of a VM that runs cannot be kept; null when it can, or when it does not run.</summary>
    public string? WhyNoMemory { get; init; }

    /// <summary>Whether all of the snapshot is restored, with its memory and its machine's configuration.</summary>
    public required bool IsWhole { get; init; }

    /// <summary>Disks that the snapshot's memory belongs to and that are not in the snapshot.</summary>
    public required IReadOnlyList<string> MissingDisks { get; init; }

    /// <summary>The memory that the VM goes on from afterwards; null when it boots.</summary>
    public string? Memory => IsWhole && MissingDisks.Count == 0 ? Snapshot.Memory : null;

    /// <summary>A sentence about the memory of the snapshot, where it is left out; empty otherwise.</summary>
    public string WithoutMemory => !IsWhole || MissingDisks.Count == 0 ? ""
        : $" The memory of checkpoint '{Snapshot.Name}' is not used, since it belongs to {string.Join(", ", MissingDisks)} too, which the checkpoint does not have: VM '{Vm.Name}' boots from its disks.";

    /// <summary>Whether the VM had a machine.</summary>
    public bool Ran => State is VmState.Running or VmState.Paused;

    /// <summary>Chooses the snapshot and volumes: those that were named, or those of the restore that failed.</summary>
    public static RestoreChoice Of(EngineContext context, RestoreRequest request)
    {
        var vm = context.ResolveVm(request.Vm);
        var failed = vm.FailedRestore is null ? null : Json.Read<FailedRestore>(vm.FailedRestore);
        if (failed is null && request.Snapshot is null)
            throw new SnapshotException(ErrorIds.NoFailedRestore, ErrorKind.Conflict, $"VM '{vm.Name}' has no failed restore to go on with. Name the snapshot to restore: Restore-VmSnapshot {vm.Name} <snapshot>", vm.Name);
        if (failed is not null && request.FailAction == FailAction.None) VmRules.RequireNoError(vm);
        var snapshot = context.ResolveSnapshot(vm, failed?.Snapshot.ToString() ?? request.Snapshot!);
        if (failed is not null && request.Snapshot is not null && context.ResolveSnapshot(vm, request.Snapshot).Id != snapshot.Id)
            throw new SnapshotException(ErrorIds.VmInError, ErrorKind.Conflict,
                $"The restore of VM '{vm.Name}' that failed was to snapshot '{snapshot.Name}'. End it first: Restore-VmSnapshot {vm.Name} -FailAction Retry, or -FailAction Rollback.", vm.Name);
        IReadOnlyList<string> volumes = failed?.Volumes ?? request.Volumes;
        var (parts, restored, isWhole) = PartsOf(context, vm, snapshot, volumes);
        var state = failed is null ? context.StateOf(vm) : failed.Was ?? VmState.Stopped;
        return new RestoreChoice
        {
            Vm = vm,
            Failed = failed,
            Snapshot = snapshot,
            Parts = parts,
            IsWhole = isWhole,
            MissingDisks = CheckpointMemory.MissingDisks(context, snapshot),
            Restored = restored,
            Layers = context.Catalog.Layers.Of(parts, p => p.LayerId),
            Heads = context.Catalog.Layers.Of(restored, v => v.HeadId),
            Volumes = volumes,
            KeepBackup = request.KeepBackup || failed?.KeepBackup == true,
            State = state,
            WhyNoMemory = failed is null && state is VmState.Running or VmState.Paused ? FindWhyNoMemory(context, vm) : null,
        };
    }

    /// <summary>That the VM must be stopped first.</summary>
    public SnapshotException MustBeStopped(EngineContext context)
    {
        var boot = context.Catalog.Machines.Attachments(Vm.Id).Where(a => a.Boot).Select(a => a.VolumeId).ToHashSet();
        return Parts.Exists(p => boot.Contains(p.VolumeId))
            ? new SnapshotException(ErrorIds.VmNotStopped, ErrorKind.Conflict, $"VM '{Vm.Name}' is running, and its boot volume cannot be restored under it. Use -StopVm, or stop it first: Stop-VmInstance {Vm.Name}", Vm.Name)
            : new SnapshotException(ErrorIds.VolumeInUse, ErrorKind.Conflict, $"VM '{Vm.Name}' is running and uses the volumes that would be restored. Use -StopVm, or stop it first: Stop-VmInstance {Vm.Name}", Vm.Name);
    }

    private static (List<VolumeSnapshotRow> Parts, List<VolumeRow> Volumes, bool IsWhole) PartsOf(EngineContext context, VmRow vm, VmSnapshotRow snapshot, IReadOnlyList<string> wanted)
    {
        var all = context.Catalog.Snapshots.OfVmSnapshot(snapshot.Id);
        var volumes = context.Catalog.Volumes.Of(all, p => p.VolumeId);
        foreach (string name in wanted)
        {
            var matches = Names.Matcher([name]);
            if (!volumes.Exists(v => matches(v.Name, v.Uid)))
                throw new SnapshotException(ErrorIds.NotOriginalVolume, ErrorKind.InvalidInput,
                    $"Volume '{Names.Shown(name)}' is not part of snapshot '{snapshot.Name}' of VM '{vm.Name}', which has {string.Join(", ", volumes.Select(v => $"'{v.Name}'"))}. A snapshot restores onto its own volumes only; make another disk from it with New-VmVolume -FromSnapshot.", Names.Shown(name));
        }
        var any = Names.Matcher(wanted);
        var parts = all.Where((_, i) => any(volumes[i].Name, volumes[i].Uid)).ToList();
        return (parts, volumes.FindAll(v => any(v.Name, v.Uid)), parts.Count == all.Count);
    }

    /// <summary>A memory is of use only to a machine of the same devices, over disks that nobody has written to since.</summary>
    private static string? FindWhyNoMemory(EngineContext context, VmRow vm)
    {
        var compute = context.Compute!;
        if (!compute.Capabilities.CanSaveMemory) return $"it cannot be saved here: {compute.Capabilities.Reason}";
        if (context.Catalog.Machines.Connected(vm.Id) is { } connected && compute.StateOf(connected) != VmState.Stopped)
            return "another program started its machine, and only a machine of the very same devices could go on from its memory";
        foreach (var attachment in context.Catalog.Machines.Attachments(vm.Id))
        {
            var others = context.Catalog.Machines.AllAttachmentsOf(attachment.VolumeId).Where(a => a.VmId != vm.Id).Select(a => context.Catalog.Machines.Get(a.VmId));
            if (others.FirstOrDefault(o => context.StateOf(o) is VmState.Running or VmState.Paused) is { } other)
                return $"volume '{attachment.VolumeName}' is written to by VM '{other.Name}' as well, which goes on meanwhile";
        }
        return null;
    }
}
