using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Lets the processors of running VMs stand; their memory stays where it is.</summary>
[Cmdlet(VerbsLifecycle.Suspend, "VmInstance", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low, DefaultParameterSetName = "Name")]
[OutputType(typeof(VmInstance), typeof(OperationPlan))]
public sealed class SuspendVmInstance : VmChangingCmdlet
{
    private protected override string Doing => "Suspending";

    private protected override PlannedOperation<VmInstance> Planned(string vm) => Engine.Machines.Suspend(vm);
}
