using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Power;

/// <summary>Stops a VM, or lets its processors stand or go on.</summary>
internal sealed class ChangePower(EngineContext context, string vmName, PowerChange change, TimeSpan patience) : Command<VmInstance>(context)
{
    private VmRow _vm = null!;
    private VmState _state;

    protected override IReadOnlyCollection<LockKey> Locks() => [LockKey.Vm(Context.ResolveVm(vmName).Id)];

    protected override OperationPlan Plan()
    {
        _vm = Context.ResolveVm(vmName);
        _state = Context.StateOf(_vm);
        if (_state is not (VmState.Running or VmState.Paused) && change is (PowerChange.Pause or PowerChange.Resume))
            throw new SnapshotException(ErrorIds.VmNotRunning, ErrorKind.Conflict, $"VM '{_vm.Name}' is not running. Start it first: Start-VmInstance {_vm.Name}", _vm.Name);
        return new OperationPlan
        {
            Kind = OperationKind.Power,
            Target = _vm.Name,
            Summary = change switch
            {
                PowerChange.ShutDown => $"Ask the guest of VM '{_vm.Name}' to shut down, and wait for it.",
                PowerChange.TurnOff => $"Turn VM '{_vm.Name}' off at once, as if its plug were pulled.",
                PowerChange.Pause => $"Let the processors of VM '{_vm.Name}' stand.",
                _ => $"Let VM '{_vm.Name}' go on.",
            },
            Steps = [new PlanStep(change is PowerChange.Resume ? PlanAction.StartVm : PlanAction.StopVm, _vm.Name, "change its power state")],
        };
    }

    protected override VmInstance Execute(OperationPlan plan, RunOptions options)
    {
        using (var machine = Context.FindMachine(_vm))
        {
            if (change == PowerChange.Pause) machine?.Pause();
            else if (change == PowerChange.Resume) machine?.Resume();
            else machine?.Stop(change == PowerChange.TurnOff, patience, options.Cancellation);
        }
        return Context.ToModel(Catalog.Machines.Get(_vm.Id));
    }
}

/// <summary>Changes of a running VM's power state.</summary>
internal enum PowerChange
{
    ShutDown,
    TurnOff,
    Pause,
    Resume,
}
