using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Lets go of a QEMU that Connect-VmInstance took. It runs on.</summary>
[Cmdlet(VerbsCommunications.Disconnect, "VmInstance", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low, DefaultParameterSetName = "Name")]
[OutputType(typeof(VmInstance), typeof(OperationPlan))]
public sealed class DisconnectVmInstance : VmChangingCmdlet
{
    private protected override string Doing => "Disconnecting";

    private protected override PlannedOperation<VmInstance> Planned(string vm) => Engine.Machines.Disconnect(vm);
}
