using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Starts VMs: they boot, or go on from the memory of the checkpoint that they were restored to.</summary>
[Cmdlet(VerbsLifecycle.Start, "VmInstance", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low, DefaultParameterSetName = "Name")]
[OutputType(typeof(VmInstance), typeof(OperationPlan))]
public sealed class StartVmInstance : VmChangingCmdlet
{
    /// <summary>Builds the machine, but lets its processors stand until Resume-VmInstance.</summary>
    [Parameter]
    public SwitchParameter Paused { get; set; }

    private protected override string Doing => "Starting";

    private protected override PlannedOperation<VmInstance> Planned(string vm) => Engine.Machines.Start(vm, Paused);
}
