using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Power;

/// <summary>Starts a VM: it boots, or goes on from the memory that it was suspended with.</summary>
internal sealed class StartVm(EngineContext context, string vmName, bool paused) : Command<VmInstance>(context)
{
    private VmRow _vm = null!;
    private VmState _state;

    protected override IReadOnlyCollection<LockKey> Locks() => LocksOf(Context, Context.ResolveVm(vmName));

    /// <summary>What must hold still while a VM is started.</summary>
    public static IReadOnlyCollection<LockKey> LocksOf(EngineContext context, VmRow vm) =>
        [LockKey.Vm(vm.Id), .. context.Catalog.Machines.Attachments(vm.Id).Select(a => LockKey.Volume(a.VolumeId))];

    protected override OperationPlan Plan()
    {
        _vm = Context.ResolveVm(vmName);
        VmRules.RequireNoError(_vm);
        Context.RequireCompute(_vm);
        _state = Context.StateOf(_vm);
        string how = _state switch
        {
            VmState.Running => $"VM '{_vm.Name}' runs already; nothing is done.",
            VmState.Paused => $"Let VM '{_vm.Name}' go on.",
            VmState.Suspended => $"Start VM '{_vm.Name}' from where it was suspended.",
            _ => $"Start VM '{_vm.Name}'.",
        };
        return new OperationPlan { Kind = OperationKind.Power, Target = _vm.Name, Summary = how, Steps = _state == VmState.Running ? [] : [new PlanStep(PlanAction.StartVm, _vm.Name, "start the machine")] };
    }

    protected override VmInstance Execute(OperationPlan plan, RunOptions options)
    {
        Start(Context, _vm, _state, paused, options);
        return Context.ToModel(Catalog.Machines.Get(_vm.Id));
    }

    /// <summary>Starts a VM whose locks are held.</summary>
    public static void Start(EngineContext context, VmRow vm, VmState state, bool paused, RunOptions options)
    {
        if (state == VmState.Running) return;
        if (state == VmState.Paused)
        {
            using var standing = context.FindMachine(vm);
            if (!paused) standing?.Resume();
            return;
        }
        if (context.Compute?.LastWords(vm.Uid) is { } words) options.Warn?.Invoke($"VM '{vm.Name}' had ended by itself before; the hypervisor's last words were: '{words}'.");
        // The machine may have died in a merge of its layers.
        foreach (var attachment in context.Catalog.Machines.Attachments(vm.Id)) LiveMerging.Settle(context, attachment.VolumeId);
        string? memory = vm.SuspendedMemory is null ? null : context.Storage.PathOf(vm.SuspendedMemory);
        if (vm.SuspendedMemory is not null && !context.HasFile(vm.SuspendedMemory))
            throw new SnapshotException(ErrorIds.MemoryMissing, ErrorKind.Damaged,
                $"The memory that VM '{vm.Name}' is to go on from is missing: '{memory}'. Nothing was started. Put the file back; or let it boot from its disks: Stop-VmInstance {vm.Name} -TurnOff, then Start-VmInstance {vm.Name}", vm.Name);
        SuspendedDisks.RequireUntouched(context, vm);
        using var machine = context.RequireCompute(vm).Start(context.DefinitionOf(vm).WithOwnVariables(context, vm, options), new StartOptions(memory, paused || memory is not null, options.Warn), options.Cancellation);
        context.Database.Write(() => context.Catalog.Machines.Disconnect(vm.Id), durable: false);   // it has a machine of its own now
        if (memory is null) options.Log?.Invoke($"VM '{vm.Name}' was started");
        else GoOn(context, vm, machine, paused, options);
    }

    /// <summary>
    /// Lets a machine go on that stands with the memory that it was started from. That memory is of this one moment: it is forgotten before the
    /// guest's first instruction, or a later start could set it over disks that have moved on.
    /// </summary>
    private static void GoOn(EngineContext context, VmRow vm, IRunningMachine machine, bool paused, RunOptions options)
    {
        options.Log?.Invoke($"VM '{vm.Name}' stands with its memory");
        context.Database.Write(() => context.Catalog.Machines.SetMemory(vm.Id, null));
        try
        {
            if (!paused) machine.Resume();
        }
        catch when (machine.State == VmState.Stopped && context.HasFile(vm.SuspendedMemory!))
        {
            // It ended without a step, so that its memory is still the one of these disks.
            context.Database.Write(() =>
            {
                context.Catalog.Machines.SetMemory(vm.Id, vm.SuspendedMemory);
                context.Catalog.Layers.ForgetGarbage([vm.SuspendedMemory!]);
            });
            throw;
        }
        options.Log?.Invoke($"VM '{vm.Name}' goes on from its memory");
        new Collecting(context).TryDeleteGarbage();
    }

    /// <summary>Forgets the memory that a VM was suspended with, and deletes it unless a snapshot needs it.</summary>
    public static void ForgetMemory(EngineContext context, VmRow vm)
    {
        context.Database.Write(() => context.Catalog.Machines.SetMemory(vm.Id, null));
        new Collecting(context).TryDeleteGarbage();
    }
}
