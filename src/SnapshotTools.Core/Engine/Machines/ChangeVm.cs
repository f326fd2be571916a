using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Power;

namespace SnapshotTools.Core.Engine.Machines;

/// <summary>Changes a VM's configuration. Its snapshots keep the one that they were taken with.</summary>
internal sealed class ChangeVm(EngineContext context, string vmName, VmChanges changes) : Command<VmInstance>(context)
{
    private VmRow _vm = null!;
    private VmConfiguration _configuration = null!;
    private bool _dropsVariables;

    protected override IReadOnlyCollection<LockKey> Locks() => [LockKey.Vm(Context.ResolveVm(vmName).Id)];

    protected override OperationPlan Plan()
    {
        _vm = Context.ResolveVm(vmName);
        VmRules.RequireNoError(_vm);
        if (changes with { Description = null } != new VmChanges()) Context.RequireOff(_vm, "changing it");
        var present = Context.ConfigurationOf(_vm);
        _configuration = present with
        {
            ProcessorCount = changes.ProcessorCount is { } count ? CreateVm.ValidProcessors(count, _vm.Name) : present.ProcessorCount,
            MemoryBytes = changes.MemoryBytes is { } bytes ? CreateVm.ValidMemory(bytes, _vm.Name) : present.MemoryBytes,
            NetworkAdapters = changes.NetworkAdapters is { } adapters ? CreateVm.ValidAdapters(adapters, _vm.Name) : present.NetworkAdapters,
            Description = Text(changes.Description, present.Description),
            Boot = BootRules.Validate(Context, _vm.Name, new VmBoot
            {
                Firmware = Text(changes.Firmware, present.Boot.Firmware),
                FirmwareVariables = Text(changes.FirmwareVariables, present.Boot.FirmwareVariables),
                Kernel = Text(changes.Kernel, present.Boot.Kernel),
                Initrd = Text(changes.Initrd, present.Boot.Initrd),
                KernelCommandLine = Text(changes.KernelCommandLine, present.Boot.KernelCommandLine),
                ExtraArguments = changes.ExtraArguments ?? present.Boot.ExtraArguments,
            }),
        };
        // Another template is for a firmware to begin with; so is the same one where the VM's own copy is gone.
        string? own = changes.FirmwareVariables is null ? null : Catalog.Machines.Firmware(_vm.Id);
        bool isThere = own is not null && Context.HasFile(own);
        _dropsVariables = own is not null && (!isThere || _configuration.Boot.FirmwareVariables != present.Boot.FirmwareVariables);
        return new OperationPlan
        {
            Kind = OperationKind.CreateVolume,
            Target = _vm.Name,
            Summary = $"Change VM instance '{_vm.Name}'.",
            Steps = [new PlanStep(PlanAction.Update, _vm.Name, "write its new configuration down; it holds from the next start")],
            Lost = _dropsVariables && isThere ? [$"the firmware's variables of VM '{_vm.Name}', such as boot entries and keys; its snapshots keep theirs"] : [],
        };
    }

    protected override VmInstance Execute(OperationPlan plan, RunOptions options)
    {
        Context.Database.Write(() =>
        {
            Catalog.Machines.SetConfiguration(_vm.Id, _configuration);
            if (_dropsVariables) Catalog.Machines.DropFirmware(_vm.Id);
        });
        if (_dropsVariables) new Collecting(Context).TryDeleteGarbage();
        return Context.ToModel(Catalog.Machines.Get(_vm.Id));
    }

    private static string? Text(string? change, string? present) => change is null ? present : change.Length == 0 ? null : change;
}
