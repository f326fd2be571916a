using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Stops an operation.</summary>
[Cmdlet(VerbsLifecycle.Stop, "SnapshotOperation", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(SnapshotOperation), typeof(OperationPlan))]
public sealed class StopSnapshotOperation : OperationCmdlet
{
    /// <summary>Removes the clone too, instead of leaving it linked.</summary>
    [Parameter]
    public SwitchParameter Discard { get; set; }

    private protected override void Act(Guid id) => Change("Stopping", Engine.Operations.Stop(id, Discard), WriteObject);
}
