namespace SnapshotTools.Core;

/// <summary>
/// What runs machines: power, pause and resume, file-system freeze, switching a running disk to a new head, saving and
/// loading memory. It knows nothing of catalogs and snapshots; it is told which files to use and says what it did.
/// </summary>
public interface IComputePlane : IDisposable
{
    /// <summary>What this plane can do on this machine.</summary>
    ComputeCapabilities Capabilities { get; }

    /// <summary>Running, Paused, or Stopped when the VM has no machine; disturbs nobody who works on it. One that does not respond counts as running.</summary>
    VmState StateOf(Guid vmId);

    /// <summary>The running machine of a VM, found again by any process of this store; null when it does not run.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.VmBusy"/>: another session works on it. <see cref="ErrorIds.VmNotResponding"/>: it hangs.</exception>
    IRunningMachine? Find(Guid vmId);

    /// <summary>Looks at a machine that someone else started, and checks that it runs these disks: for each, one of its disks must
    /// have these layers and no others.</summary>
    /// <param name="monitor">Where its QMP monitor listens: <c>unix:PATH</c>, <c>tcp:HOST:PORT</c>, or a path.</param>
    /// <param name="agent">Where the guest agent's channel listens; null when there is none.</param>
    /// <param name="disks">The disks.</param>
    /// <returns>What the machine is found again by.</returns>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.ComputeFailed"/>: nothing answers there.
    /// <see cref="ErrorIds.MachineMismatch"/>: it runs other disks. <see cref="ErrorIds.VmBusy"/>: another program holds its monitor.</exception>
    ConnectedMachine Connect(string monitor, string? agent, IReadOnlyList<MachineDisk> disks);

    /// <summary>As <see cref="StateOf(Guid)"/>, of a machine that someone else started.</summary>
    VmState StateOf(ConnectedMachine machine);

    /// <summary>As <see cref="Find(Guid)"/>, of a machine that someone else started.</summary>
    IRunningMachine? Find(ConnectedMachine machine);

    /// <summary>Starts a machine; it runs (or stands, when <see cref="StartOptions.Paused"/>) when the call returns.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.ComputeFailed"/> with the hypervisor's last words, or <see cref="ErrorIds.ImageInUse"/>.</exception>
    IRunningMachine Start(MachineDefinition machine, StartOptions options, CancellationToken cancellation);

    /// <summary>Ends the machine of a VM without asking it, as one that does not respond; returns once it has let go of its images.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.ComputeFailed"/>: not even that ended it.</exception>
    void Kill(Guid vmId);

    /// <summary>What the hypervisor said last before the VM's machine ended by itself; null while it runs, and after it was stopped.</summary>
    string? LastWords(Guid vmId);

    /// <summary>Removes what is left of the machine of a VM that is no more. One that runs is left alone, and what cannot be removed is in nobody's way.</summary>
    void Forget(Guid vmId);
}

/// <summary>A machine that someone else started.</summary>
/// <param name="Monitor">Where its QMP monitor listens.</param>
/// <param name="Agent">Where the guest agent's channel listens; null when there is none.</param>
/// <param name="Names">The layers that it opened under another name than their own, such as by a link: that name, and the layer's path.</param>
public sealed record ConnectedMachine(string Monitor, string? Agent, IReadOnlyDictionary<string, string> Names);

/// <summary>What a compute plane can do.</summary>
/// <param name="IsAvailable">Whether the hypervisor is on this machine at all.</param>
/// <param name="CanSaveMemory">Whether memory can be saved.</param>
/// <param name="CanSaveMemoryInBackground">Whether memory can be saved while the guest runs on.</param>
/// <param name="Reason">Why something cannot be done, for a message.</param>
public sealed record ComputeCapabilities(bool IsAvailable, bool CanSaveMemory, bool CanSaveMemoryInBackground, string? Reason);

/// <summary>A machine as it is to run.</summary>
/// <param name="Configuration">Processors, memory, adapters, boot.</param>
/// <param name="Disks">The disks in the VM's order.</param>
/// <param name="GenerationId">The generation id that the guest sees; null for none.</param>
public sealed record MachineDefinition(VmConfiguration Configuration, IReadOnlyList<MachineDisk> Disks, Guid? GenerationId = null);

/// <summary>A disk of a machine.</summary>
/// <param name="VolumeId">The volume.</param>
/// <param name="Attachment">Bus, boot flag and the like.</param>
/// <param name="Chain">Absolute paths of the layers, the head first, with their formats.</param>
public sealed record MachineDisk(Guid VolumeId, VmAttachment Attachment, IReadOnlyList<ChainFile> Chain);

/// <summary>A layer's file as a hypervisor opens it.</summary>
/// <param name="Path">Its absolute path.</param>
/// <param name="Format">Its format.</param>
public sealed record ChainFile(string Path, LayerFormat Format);

/// <summary>How a machine is started.</summary>
/// <param name="MemoryFile">A memory file to go on from; null boots.</param>
/// <param name="Paused">Leaves the processors standing.</param>
/// <param name="Warn">Is told what its user should know although the machine starts.</param>
public sealed record StartOptions(string? MemoryFile = null, bool Paused = false, Action<string>? Warn = null);

/// <summary>A moment in which a guest stands. Disposing it lets the guest go on, and so does a watchdog when this process dies.</summary>
public interface IStandstill : IDisposable
{
    /// <summary>Lets the processors stand.</summary>
    void Begin();
}

/// <summary>A machine that runs. Disposing it lets go of it; it runs on.</summary>
public interface IRunningMachine : IDisposable
{
    /// <summary>Running or paused; Stopped once it has ended.</summary>
    VmState State { get; }

    /// <summary>The files of the top layers that the hypervisor writes to now.</summary>
    IReadOnlyList<string> Heads { get; }

    /// <summary>Asks the guest to shut down and waits; with <paramref name="turnOff"/> pulls the plug.</summary>
    void Stop(bool turnOff, TimeSpan timeout, CancellationToken cancellation);

    /// <summary>Lets the processors stand.</summary>
    void Pause();

    /// <summary>Lets them go on.</summary>
    void Resume();

    /// <summary>Prepares to let the guest stand for a moment.</summary>
    IStandstill PrepareStandstill(CancellationToken cancellation);

    /// <summary>Saves the memory of a machine that is to end: its guest stands from then on, at that very instant of its disks.</summary>
    /// <param name="memoryFile">A new file for the memory, complete and durable on return.</param>
    /// <param name="cancellation">Lets the guest go on instead.</param>
    /// <returns>The machine as it stands.</returns>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.ComputeFailed"/>, <see cref="ErrorIds.MemoryNotAvailable"/> or
    /// <see cref="ErrorIds.NotEnoughSpace"/>; the guest runs on.</exception>
    IStandingMachine Suspend(string memoryFile, CancellationToken cancellation);

    /// <summary>Lets a guest go on that ran until its memory was saved to end it, when the session died which did that after <see cref="IStandingMachine.Keep"/>.</summary>
    /// <returns>False when the machine runs, or stands for another reason.</returns>
    bool GoOnAfterSuspend();

    /// <summary>Freezes the guest's file systems through its agent; disposing the result thaws them, and so does a watchdog when this process dies.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.ConsistencyNotAvailable"/>: no agent, or it refused.</exception>
    IDisposable FreezeFileSystems(TimeSpan limit, CancellationToken cancellation);

    /// <summary>Makes the hypervisor open new heads beside the running disks, without using them yet. Disposing the result without a switch closes them again.</summary>
    ILiveSwitch PrepareSwitch(IReadOnlyList<LiveHead> heads, CancellationToken cancellation);

    /// <summary>Merges two layers of a running disk under the guest. Whatever ends it, the disk reads the same throughout; when it
    /// returns, the images that are left name each other as they lie, durably, and the hypervisor has let go of the layer that went.</summary>
    /// <returns>False when no disk of the machine has these layers.</returns>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.ImageInUse"/>: another program uses the layer that would be written.
    /// <see cref="ErrorIds.ComputeFailed"/>: the hypervisor failed, or has ended.</exception>
    bool TryMerge(LiveMerge merge, IProgress<long>? progress, CancellationToken cancellation);

    /// <summary>Whether a frozen layer of a running disk can be written to by a merge. One that the machine opened by a link cannot: to
    /// open it for writing, and to freeze it again, the hypervisor follows the link, which leads to the head by then.</summary>
    bool CanMergeInto(string layer);

    /// <summary>Lets running disks use the file that has taken the place of one of their frozen layers: it reads as that layer and all under it,
    /// and lies on nothing. The guest does not notice, and the hypervisor lets go of the files that were there. Disks that use it already,
    /// or do not have the layer, are passed over.</summary>
    /// <param name="layer">The layer's file.</param>
    /// <returns>False when a disk goes on with the old files, since this hypervisor did not open them by the definitions made here.</returns>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.ComputeFailed"/>: the hypervisor refused, and the disk reads the same from the old files.</exception>
    bool TakeReplacement(string layer);

    /// <summary>Ends the merges that a session which is gone began and nobody waits for any more.</summary>
    void EndAbandonedMerges();

    /// <summary>Lets the guest see a larger disk.</summary>
    /// <param name="head">The file that the disk writes to.</param>
    /// <param name="size">The new size in bytes, which QEMU gives to the head itself.</param>
    void Resize(string head, long size);
}

/// <summary>A machine that stands since its memory was saved. Disposing it lets the guest go on, unless it was ended; and so does
/// a watchdog when this process dies before <see cref="Keep"/>.</summary>
public interface IStandingMachine : IDisposable
{
    /// <summary>The bytes of the memory file.</summary>
    long MemoryBytes { get; }

    /// <summary>From now on nobody but this object sets the guest going: the memory is about to be what the machine goes on from, and
    /// that would be wrong once the guest has gone on.</summary>
    void Keep();

    /// <summary>Ends the machine.</summary>
    void End();
}

/// <summary>A merge of two layers of a running disk, of which one lies on the other.</summary>
/// <param name="Layer">The file of the lower layer.</param>
/// <param name="Child">The file of the one that lies on it.</param>
/// <param name="Parent">The file of the one under both, with the name by which layers refer to it; null when there is none.</param>
/// <param name="Above">Null merges up: the layer's data goes into the child, which then lies on the parent. A file merges down: the
/// child, which is no head, goes into the layer, and the layer of this file, which lay on the child, then lies on it.</param>
/// <param name="LayerName">The name by which layers refer to the lower layer.</param>
/// <param name="BytesPerSecond">The throttle; 0 is none.</param>
public sealed record LiveMerge(string Layer, string Child, (string Path, string Name)? Parent, string? Above, string LayerName, long BytesPerSecond);

/// <summary>A new head for a running disk.</summary>
/// <param name="PresentHead">The file that the disk writes to now.</param>
/// <param name="NewHead">The new head's file, which names the present head as its backing file.</param>
public sealed record LiveHead(string PresentHead, string NewHead);

/// <summary>Heads that are open and wait for the switch.</summary>
public interface ILiveSwitch : IDisposable
{
    /// <summary>Switches all disks in one step, and begins to save the memory of the same instant when a file is named.</summary>
    /// <param name="memoryFile">A new file for the memory, or null.</param>
    /// <param name="maxPause">Gives up, with the guest running on unchanged, when the pause would be longer.</param>
    /// <param name="cancellation">Ends the wait before the switch, never in it.</param>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.ComputeFailed"/> or <see cref="ErrorIds.PauseTooLong"/>; nothing is switched then.</exception>
    LiveSwitchResult Switch(string? memoryFile, TimeSpan? maxPause, CancellationToken cancellation);
}

/// <summary>What a switch did.</summary>
/// <param name="Pause">How long the guest stood still.</param>
/// <param name="Memory">Ends when the memory file is complete and durable, with its bytes on disk; null without memory.</param>
/// <param name="MemoryMethod">How the memory was saved: in the background, or with the guest standing.</param>
public sealed record LiveSwitchResult(TimeSpan Pause, Task<long>? Memory, string? MemoryMethod);
