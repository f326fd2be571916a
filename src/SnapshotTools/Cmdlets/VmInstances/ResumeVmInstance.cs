using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Lets paused VMs go on, and suspended ones from the memory that they were suspended with.</summary>
[Cmdlet(VerbsLifecycle.Resume, "VmInstance", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low, DefaultParameterSetName = "Name")]
[OutputType(typeof(VmInstance), typeof(OperationPlan))]
public sealed class ResumeVmInstance : VmChangingCmdlet
{
    private protected override string Doing => "Resuming";

    private protected override PlannedOperation<VmInstance> Planned(string vm) => Engine.Machines.Resume(vm);
}
