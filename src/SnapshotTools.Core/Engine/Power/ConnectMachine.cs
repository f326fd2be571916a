using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine.Power;

/// <summary>Takes a machine that someone else started as that of a VM.</summary>
internal sealed class ConnectMachine(EngineContext context, string vmName, string monitor, string? agent) : Command<VmInstance>(context)
{
    private VmRow _vm = null!;

    protected override IReadOnlyCollection<LockKey> Locks()
    {
        var row = Context.ResolveVm(vmName);
        return [LockKey.Vm(row.Id), .. Catalog.Machines.Attachments(row.Id).Select(a => LockKey.Volume(a.VolumeId))];
    }

    protected override OperationPlan Plan()
    {
        _vm = Context.ResolveVm(vmName);
        VmRules.RequireNoError(_vm);
        Context.RequireCompute(_vm);
        Context.RequireStopped(_vm, "connecting another machine to it");
        if (_vm.SuspendedMemory is not null)
            throw new SnapshotException(ErrorIds.VmNotStopped, ErrorKind.Conflict,
                $"VM '{_vm.Name}' is suspended: its disks belong to its memory, and no other machine may write to them. Start it, or throw its memory away: Stop-VmInstance {_vm.Name} -TurnOff", _vm.Name);
        return new OperationPlan
        {
            Kind = OperationKind.Power,
            Target = _vm.Name,
            Summary = $"Take the machine whose monitor is at '{monitor}' as VM '{_vm.Name}'.",
            Steps = [new PlanStep(PlanAction.StartVm, _vm.Name, "remember where the machine is reached")],
        };
    }

    protected override VmInstance Execute(OperationPlan plan, RunOptions options)
    {
        var machine = Context.RequireCompute(_vm).Connect(monitor, agent, Context.DefinitionOf(_vm).Disks);
        Context.Database.Write(() => Catalog.Machines.Connect(_vm.Id, machine));
        options.Log?.Invoke($"VM '{_vm.Name}' is the machine at '{machine.Monitor}'");
        return Context.ToModel(Catalog.Machines.Get(_vm.Id));
    }
}

/// <summary>Lets go of a machine that someone else started.</summary>
internal sealed class DisconnectMachine(EngineContext context, string vmName) : Command<VmInstance>(context)
{
    private VmRow _vm = null!;

    protected override IReadOnlyCollection<LockKey> Locks() => [LockKey.Vm(Context.ResolveVm(vmName).Id)];

    protected override OperationPlan Plan()
    {
        _vm = Context.ResolveVm(vmName);
        if (Catalog.Machines.Connected(_vm.Id) is not { } connected)
            throw new SnapshotException(ErrorIds.VmNotRunning, ErrorKind.Conflict, $"No machine that someone else started is connected to VM '{_vm.Name}'. See Get-VmInstance {_vm.Name}", _vm.Name);
        return new OperationPlan
        {
            Kind = OperationKind.Power,
            Target = _vm.Name,
            Summary = $"Let go of the machine at '{connected.Monitor}', which VM '{_vm.Name}' is; it runs on.",
            Steps = [new PlanStep(PlanAction.StopVm, _vm.Name, "forget where the machine is reached")],
        };
    }

    protected override VmInstance Execute(OperationPlan plan, RunOptions options)
    {
        Context.Database.Write(() => Catalog.Machines.Disconnect(_vm.Id));
        return Context.ToModel(Catalog.Machines.Get(_vm.Id));
    }
}
