using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Power;

/// <summary>Stops a VM, or lets its processors stand or go on. What a VM is already is no error.</summary>
internal sealed class ChangePower(EngineContext context, string vmName, PowerChange change, TimeSpan patience) : Command<VmInstance>(context)
{
    private VmRow _vm = null!;
    private VmState _state;

    protected override IReadOnlyCollection<LockKey> Locks()
    {
        var row = Context.ResolveVm(vmName);
        return change == PowerChange.Resume ? StartVm.LocksOf(Context, row) : [LockKey.Vm(row.Id)];
    }

    protected override OperationPlan Plan()
    {
        _vm = Context.ResolveVm(vmName);
        _state = Context.StateOf(_vm);
        return (change, _state) switch
        {
            (PowerChange.Pause, VmState.Running) => Planned($"Let the processors of VM '{_vm.Name}' stand."),
            (PowerChange.Pause, VmState.Paused) => Nothing("paused"),
            (PowerChange.Resume, VmState.Running) => Nothing("running"),
            (PowerChange.Resume, VmState.Paused) => Planned($"Let VM '{_vm.Name}' go on.", PlanAction.StartVm),
            (PowerChange.Resume, VmState.Suspended) => Planned($"Let VM '{_vm.Name}' go on from where it was suspended.", PlanAction.StartVm),
            (PowerChange.ShutDown, VmState.Running) => Planned($"Ask the guest of VM '{_vm.Name}' to shut down, and wait for it."),
            (PowerChange.TurnOff, VmState.Running or VmState.Paused) => Planned($"Turn VM '{_vm.Name}' off at once, as if its plug were pulled.",
                lost: $"what the guest of VM '{_vm.Name}' has in memory and has not written to its disks"),
            (PowerChange.TurnOff, VmState.Suspended) => Planned($"Forget the memory that VM '{_vm.Name}' was suspended with; its next start boots it.",
                lost: $"the memory that VM '{_vm.Name}' was suspended with, as far as no snapshot keeps it"),
            (PowerChange.ShutDown, VmState.Paused) => throw Refused("is paused, so that its guest cannot shut down", $"Let it go on first: Resume-VmInstance {_vm.Name}; or turn it off: Stop-VmInstance {_vm.Name} -TurnOff"),
            (PowerChange.ShutDown, VmState.Suspended) => throw Refused("is suspended: it does not run", $"Start it first: Start-VmInstance {_vm.Name}; or forget its memory: Stop-VmInstance {_vm.Name} -TurnOff"),
            (PowerChange.ShutDown or PowerChange.TurnOff, _) => Nothing("stopped"),
            (PowerChange.Pause, VmState.Suspended) => Nothing("suspended"),
            _ => throw Refused("is not running", $"Start it first: Start-VmInstance {_vm.Name}"),
        };
    }

    protected override VmInstance Execute(OperationPlan plan, RunOptions options)
    {
        if (plan.Steps.Count > 0) Change(options);
        return Context.ToModel(Catalog.Machines.Get(_vm.Id));
    }

    private void Change(RunOptions options)
    {
        if (_state == VmState.Suspended)
        {
            if (change == PowerChange.Resume) StartVm.Start(Context, _vm, _state, paused: false, options);
            else StartVm.ForgetMemory(Context, _vm);
            return;
        }
        Context.About(_vm, () =>
        {
            using var machine = FindOrKill(options.Log);
            if (change == PowerChange.Pause) machine?.Pause();
            else if (change == PowerChange.Resume) machine?.Resume();
            else machine?.Stop(change == PowerChange.TurnOff, patience, options.Cancellation);
            return true;
        });
    }

    private IRunningMachine? FindOrKill(Action<string>? log)
    {
        try
        {
            return Context.FindOwnMachine(_vm);
        }
        catch (SnapshotException error) when (error.ErrorId == ErrorIds.VmNotResponding && change == PowerChange.TurnOff && Catalog.Machines.Connected(_vm.Id) is null)
        {
            log?.Invoke($"{error.Message} Its process is killed");
            Context.Compute!.Kill(_vm.Uid);
            return null;
        }
    }

    private OperationPlan Planned(string summary, PlanAction action = PlanAction.StopVm, string? lost = null) => new()
    {
        Kind = OperationKind.Power,
        Target = _vm.Name,
        Summary = summary,
        Steps = [new PlanStep(action, _vm.Name, "change its power state")],
        Lost = lost is null ? [] : [lost],
    };

    private OperationPlan Nothing(string state) => new() { Kind = OperationKind.Power, Target = _vm.Name, Summary = $"VM '{_vm.Name}' is {state} already; nothing is done." };

    private SnapshotException Refused(string why, string next) =>
        new(ErrorIds.VmNotRunning, ErrorKind.Conflict, $"VM '{_vm.Name}' {why}.{Context.DescribeLastWords(_vm)} {next}", _vm.Name);
}

/// <summary>Changes of a running VM's power state.</summary>
internal enum PowerChange
{
    ShutDown,
    TurnOff,
    Pause,
    Resume,
}
