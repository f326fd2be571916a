using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Lets a copy rest.</summary>
[Cmdlet(VerbsLifecycle.Suspend, "SnapshotOperation", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low)]
[OutputType(typeof(SnapshotOperation), typeof(OperationPlan))]
public sealed class SuspendSnapshotOperation : OperationCmdlet
{
    private protected override void Act(Guid id) => Change("Pausing", Engine.Operations.Suspend(id), WriteObject);
}
