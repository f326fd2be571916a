using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Stops VMs: asks the guest to shut down and waits for it, or pulls the plug.</summary>
[Cmdlet(VerbsLifecycle.Stop, "VmInstance", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium, DefaultParameterSetName = "Name")]
[OutputType(typeof(VmInstance), typeof(OperationPlan))]
public sealed class StopVmInstance : VmChangingCmdlet
{
    private static readonly TimeSpan DefaultPatience = TimeSpan.FromMinutes(2);

    /// <summary>Turns the VM off at once, as if its plug were pulled; of a suspended VM, forgets the memory.</summary>
    [Parameter]
    public SwitchParameter TurnOff { get; set; }

    private TimeSpan Patience => MyInvocation.BoundParameters.ContainsKey(nameof(TimeoutSec)) ? TimeSpan.FromSeconds(TimeoutSec) : DefaultPatience;

    private protected override string Doing => "Stopping";

    private protected override PlannedOperation<VmInstance> Planned(string vm) => Engine.Machines.Stop(vm, TurnOff, Patience);
}
