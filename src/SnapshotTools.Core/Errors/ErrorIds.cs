namespace SnapshotTools.Core;

/// <summary>The stable error ids. One cause has one id; scripts may rely on them.</summary>
public static class ErrorIds
{
    /// <summary>Another snapshot operation runs on the VM.</summary>
    public const string VmBusy = nameof(VmBusy);

    /// <summary>An operation through another VM, or on the volume itself, runs on a volume that this one needs.</summary>
    public const string SharedVolumeBusy = nameof(SharedVolumeBusy);

    /// <summary>A clone of the volume is still copying.</summary>
    public const string CloneInProgress = nameof(CloneInProgress);

    /// <summary>The volume has snapshots and cannot be resized.</summary>
    public const string VolumeHasSnapshots = nameof(VolumeHasSnapshots);

    /// <summary>The volume is part of a VM snapshot and cannot be detached or removed.</summary>
    public const string VolumeInSnapshot = nameof(VolumeInSnapshot);

    /// <summary>The volume is attached to a VM.</summary>
    public const string VolumeAttached = nameof(VolumeAttached);

    /// <summary>The volume is not attached to this VM.</summary>
    public const string VolumeNotAttached = nameof(VolumeNotAttached);

    /// <summary>The operation needs a stopped VM.</summary>
    public const string VmNotStopped = nameof(VmNotStopped);

    /// <summary>The operation needs a running VM.</summary>
    public const string VmNotRunning = nameof(VmNotRunning);

    /// <summary>The volume is in use by a running VM.</summary>
    public const string VolumeInUse = nameof(VolumeInUse);

    /// <summary>A volume's snapshot restores onto its own volume only.</summary>
    public const string NotOriginalVolume = nameof(NotOriginalVolume);

    /// <summary>Memory can be saved of a running or suspended VM only, and by a compute plane that can.</summary>
    public const string MemoryNotAvailable = nameof(MemoryNotAvailable);

    /// <summary>The disks of a suspended VM were written to since its memory was saved, so that it cannot go on from that.</summary>
    public const string MemoryOutdated = nameof(MemoryOutdated);

    /// <summary>The file of the memory that a VM is to go on from, or that a snapshot has, is not there.</summary>
    public const string MemoryMissing = nameof(MemoryMissing);

    /// <summary>The file of the firmware's variables that a VM, or a snapshot, has is not there.</summary>
    public const string FirmwareMissing = nameof(FirmwareMissing);

    /// <summary>The consistency asked for cannot be had.</summary>
    public const string ConsistencyNotAvailable = nameof(ConsistencyNotAvailable);

    /// <summary>What was to run right before a snapshot failed or took too long; the snapshot was not taken.</summary>
    public const string PreScriptFailed = nameof(PreScriptFailed);

    /// <summary>What was to run right after a snapshot failed or took too long.</summary>
    public const string PostScriptFailed = nameof(PostScriptFailed);

    /// <summary>The store's file system has not enough free space for the operation.</summary>
    public const string NotEnoughSpace = nameof(NotEnoughSpace);

    /// <summary>Another process has the image open.</summary>
    public const string ImageInUse = nameof(ImageInUse);

    /// <summary>A name is empty, too long, or has characters that names must not have.</summary>
    public const string InvalidName = nameof(InvalidName);

    /// <summary>The name is taken.</summary>
    public const string NameExists = nameof(NameExists);

    /// <summary>A number, size or choice is out of its range.</summary>
    public const string InvalidArgument = nameof(InvalidArgument);

    /// <summary>A path is none of the file system.</summary>
    public const string InvalidPath = nameof(InvalidPath);

    /// <summary>A name or pattern that must mean one thing means several.</summary>
    public const string AmbiguousName = nameof(AmbiguousName);

    /// <summary>There is no such VM.</summary>
    public const string VmNotFound = nameof(VmNotFound);

    /// <summary>There is no such volume.</summary>
    public const string VolumeNotFound = nameof(VolumeNotFound);

    /// <summary>There is no such snapshot.</summary>
    public const string SnapshotNotFound = nameof(SnapshotNotFound);

    /// <summary>There is no such operation.</summary>
    public const string OperationNotFound = nameof(OperationNotFound);

    /// <summary>The directory is not a store.</summary>
    public const string StoreNotFound = nameof(StoreNotFound);

    /// <summary>There is something at the path that is not a store, so none is made there.</summary>
    public const string NotAStore = nameof(NotAStore);

    /// <summary>The catalog cannot be read.</summary>
    public const string CatalogDamaged = nameof(CatalogDamaged);

    /// <summary>The catalog was written by a later version of SnapshotTools.</summary>
    public const string CatalogTooNew = nameof(CatalogTooNew);

    /// <summary>The catalog stayed locked by another process for too long.</summary>
    public const string CatalogBusy = nameof(CatalogBusy);

    /// <summary>The VM is in state Error since a restore failed; only a restore with a fail action ends that.</summary>
    public const string VmInError = nameof(VmInError);

    /// <summary>A fail action was asked for, but there is no failed restore to go on with.</summary>
    public const string NoFailedRestore = nameof(NoFailedRestore);

    /// <summary>A restore failed; the VM is in state Error and keeps its backup snapshot.</summary>
    public const string RestoreFailed = nameof(RestoreFailed);

    /// <summary>A restore failed and the VM was brought back to where it was.</summary>
    public const string RestoreRolledBack = nameof(RestoreRolledBack);

    /// <summary>The volume snapshot is part of a VM snapshot and goes with it only.</summary>
    public const string PartOfVmSnapshot = nameof(PartOfVmSnapshot);

    /// <summary>The snapshots are removed, but merging or deleting their layers failed and is left for later.</summary>
    public const string CollectFailed = nameof(CollectFailed);

    /// <summary>Linked clones or other dependants stand in the way.</summary>
    public const string HasDependants = nameof(HasDependants);

    /// <summary>The VM has snapshots and is not removed without a word about them.</summary>
    public const string VmHasSnapshots = nameof(VmHasSnapshots);

    /// <summary>There is nothing in the scope: no volume to take a snapshot of.</summary>
    public const string EmptyScope = nameof(EmptyScope);

    /// <summary>The state changed between plan and run so that the plan would do something else now.</summary>
    public const string PlanOutdated = nameof(PlanOutdated);

    /// <summary>A plan runs once.</summary>
    public const string PlanAlreadyRun = nameof(PlanAlreadyRun);

    /// <summary>The image to import or adopt is refused.</summary>
    public const string ImageRefused = nameof(ImageRefused);

    /// <summary>There is no such image file.</summary>
    public const string ImageNotFound = nameof(ImageNotFound);

    /// <summary>A layer's file is missing, damaged, or not what the catalog says.</summary>
    public const string LayerDamaged = nameof(LayerDamaged);

    /// <summary>Reading or writing the store failed.</summary>
    public const string StoreIoFailed = nameof(StoreIoFailed);

    /// <summary>The store, its file system or this platform cannot do what was asked.</summary>
    public const string NotSupported = nameof(NotSupported);

    /// <summary>The compute plane failed to do its part.</summary>
    public const string ComputeFailed = nameof(ComputeFailed);

    /// <summary>The hypervisor of a VM is there, and does not respond.</summary>
    public const string VmNotResponding = nameof(VmNotResponding);

    /// <summary>A machine that someone else started does not run the disks of the VM that it was to be connected to.</summary>
    public const string MachineMismatch = nameof(MachineMismatch);

    /// <summary>The pause would have been longer than allowed.</summary>
    public const string PauseTooLong = nameof(PauseTooLong);

    /// <summary>A wait ended by its time-out.</summary>
    public const string WaitTimedOut = nameof(WaitTimedOut);

    /// <summary>The operation cannot be resumed, stopped or waited for in its state.</summary>
    public const string OperationState = nameof(OperationState);

    /// <summary>It is a template, which is neither run nor changed.</summary>
    public const string IsTemplate = nameof(IsTemplate);

    /// <summary>There is no such template.</summary>
    public const string TemplateNotFound = nameof(TemplateNotFound);

    /// <summary>The operation that was waited for has failed; its message says why.</summary>
    public const string OperationFailed = nameof(OperationFailed);
}
