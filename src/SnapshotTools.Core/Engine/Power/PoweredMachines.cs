using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Power;

/// <summary>The running machines of VMs, as the compute plane has them.</summary>
internal static class PoweredMachines
{
    /// <summary>The running machine of a VM, or null.</summary>
    public static IRunningMachine? FindMachine(this EngineContext context, VmRow vm) => context.Compute is not { } compute || InterruptedStart.IsLeft(context, vm) ? null
        : context.About(vm, () => (context.Catalog.Machines.Connected(vm.Id) is { } connected ? compute.Find(connected) : null) ?? compute.Find(vm.Uid));

    /// <summary>
    /// The same for what would hit the wrong machine hard. One that someone else started is known by its address, at which another may answer by
    /// now: it counts as this VM's when it writes to its present heads, or when it can be connected anew.
    /// </summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.MachineMismatch"/></exception>
    public static IRunningMachine? FindOwnMachine(this EngineContext context, VmRow vm)
    {
        if (context.FindMachine(vm) is not { } machine) return null;
        if (context.Catalog.Machines.Connected(vm.Id) is not { } connected || context.DefinitionOf(vm).Disks is not { Count: > 0 } disks) return machine;
        bool isOwn = false;
        try
        {
            isOwn = machine.Heads.Intersect(disks.Select(d => d.Chain[0].Path)).Any();
        }
        finally
        {
            if (!isOwn) machine.Dispose();   // it talks to one at a time
        }
        if (isOwn) return machine;
        var anew = context.Compute!.Connect(connected.Monitor, connected.Agent, disks);
        context.Database.Write(() => context.Catalog.Machines.Connect(vm.Id, anew));
        return context.Compute.Find(anew);
    }

    /// <summary>Says of which VM a failure is that its machine reports: the machine knows no name.</summary>
    public static T About<T>(this EngineContext context, VmRow vm, Func<T> call)
    {
        try
        {
            return call();
        }
        catch (SnapshotException error) when (error.Target is null)
        {
            string next = error.ErrorId == ErrorIds.VmNotResponding && context.Catalog.Machines.Connected(vm.Id) is null ? $" Try again in a moment; if it stays like this, end it: Stop-VmInstance {vm.Name} -TurnOff" : "";
            throw new SnapshotException(error.ErrorId, error.Kind, $"VM '{vm.Name}': {error.Message}{next}", vm.Name, error.RecommendedAction, error);
        }
    }

    /// <summary>The running machine of a VM that a volume is attached to, or null.</summary>
    public static IRunningMachine? FindMachineOfVolume(this EngineContext context, long volumeId) => context.Compute is null ? null
        : context.Catalog.Volumes.AttachedTo(volumeId).Select(vm => context.FindMachine(context.ResolveVm(vm))).FirstOrDefault(m => m is not null);

    /// <summary>
    /// Lets the running machines of a volume use the file that has taken the place of one of its layers. Where that cannot be done now
    /// they go on with the old files, which read the same, until they are restarted or the volume is collected.
    /// </summary>
    /// <returns>False when another session worked on one of them, so that it could not be told.</returns>
    public static bool TakeReplacement(this EngineContext context, long volumeId, LayerRow layer, Action<string>? log)
    {
        bool isTold = true;
        if (context.Compute is null) return isTold;
        foreach (string vm in context.Catalog.Volumes.AttachedTo(volumeId))
        {
            try
            {
                using var machine = context.FindMachine(context.ResolveVm(vm));
                if (machine is null) continue;
                machine.EndAbandonedMerges();
                bool isTaken = machine.TakeReplacement(context.Storage.PathOf(layer.File));
                log?.Invoke(isTaken
                    ? $"the running VM '{vm}' reads the copy and has let go of the source's files"
                    : $"the running VM '{vm}' was started by someone else and goes on with the source's files until it is restarted");
            }
            catch (Exception error) when (error is SnapshotException or IOException)
            {
                isTold &= error is not SnapshotException { ErrorId: ErrorIds.VmBusy or ErrorIds.VmNotResponding };
                log?.Invoke($"the running VM '{vm}' goes on with the source's files for now: {error.Message}");
            }
        }
        return isTold;
    }

    /// <summary>Whether a VM that a volume is attached to runs; this disturbs nobody.</summary>
    public static bool IsInRunningVm(this EngineContext context, long volumeId) => context.Compute is not null
        && context.Catalog.Volumes.AttachedTo(volumeId).Exists(vm => context.StateOf(context.ResolveVm(vm)) is VmState.Running or VmState.Paused);

    /// <summary>What a VM is doing.</summary>
    public static VmState StateOf(this EngineContext context, VmRow vm)
    {
        if (vm.FailedRestore is not null) return VmState.Error;
        if (context.Compute is { } compute && context.Catalog.Machines.Connected(vm.Id) is { } connected && compute.StateOf(connected) is var there and not VmState.Stopped) return there;
        var state = context.Compute?.StateOf(vm.Uid) ?? VmState.Stopped;
        return vm.SuspendedMemory is not null && state != VmState.Running ? VmState.Suspended : state;   // one that stands is an interrupted start
    }

    /// <summary>A sentence with what the hypervisor said before it ended by itself; empty when it did not.</summary>
    public static string DescribeLastWords(this EngineContext context, VmRow vm) =>
        context.Compute?.LastWords(vm.Uid) is { } words ? $" It had ended by itself; the hypervisor's last words: '{words}'." : "";

    /// <summary>A VM as its hypervisor is to run it.</summary>
    public static MachineDefinition DefinitionOf(this EngineContext context, VmRow vm)
    {
        var configuration = context.ConfigurationOf(vm);
        return new MachineDefinition(configuration, [.. configuration.Volumes.Select(a => new MachineDisk(a.VolumeId, a, ChainOf(context, a.VolumeId)))], vm.Generation);
    }

    /// <summary>The compute plane; an error where this store has none that works.</summary>
    public static IComputePlane RequireCompute(this EngineContext context, VmRow vm) => context.Compute is { Capabilities.IsAvailable: true } compute ? compute
        : throw new SnapshotException(ErrorIds.NotSupported, ErrorKind.Unsupported,
            $"VM '{vm.Name}' cannot be run here: {context.Compute?.Capabilities.Reason ?? "there is no hypervisor for this store"}.", vm.Name);

    /// <summary>Refuses while the VM runs.</summary>
    public static void RequireStopped(this EngineContext context, VmRow vm, string what)
    {
        if (context.StateOf(vm) is VmState.Running or VmState.Paused)
            throw new SnapshotException(ErrorIds.VmNotStopped, ErrorKind.Conflict, $"VM '{vm.Name}' is running; {what} needs it stopped. Stop it first: Stop-VmInstance {vm.Name}", vm.Name);
    }

    /// <summary>Refuses to change a machine that runs, or is to go on from a memory: that is of the machine as it is.</summary>
    public static void RequireOff(this EngineContext context, VmRow vm, string what)
    {
        context.RequireStopped(vm, what);
        if (vm.SuspendedMemory is not null)
            throw new SnapshotException(ErrorIds.VmNotStopped, ErrorKind.Conflict,
                $"VM '{vm.Name}' is suspended; {what} does not go with its memory, which fits only the machine as it is. Forget the memory first: Stop-VmInstance {vm.Name} -TurnOff", vm.Name);
    }

    private static IReadOnlyList<ChainFile> ChainOf(EngineContext context, Guid volumeId)
    {
        var chain = context.Catalog.Layers.Chain(context.Catalog.Volumes.FindById(volumeId)!.HeadId);
        // Where a copy lies in its layer's place already, and whoever put it there could not say so, nothing is under it any more.
        var copied = context.Catalog.Copies.All().Select(c => c.LayerId).ToHashSet();
        int last = chain.FindIndex(l => copied.Contains(l.Id) && context.Storage.StandsAlone(l.File));
        return [.. chain.Take(last < 0 ? chain.Count : last + 1).Select(l => new ChainFile(context.Storage.PathOf(l.File), l.Format))];
    }
}
