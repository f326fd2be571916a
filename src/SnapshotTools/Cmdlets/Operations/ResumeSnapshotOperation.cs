using System.Management.Automation;
using SnapshotTools.Core;
using SnapshotTools.Module;

namespace SnapshotTools.Cmdlets;

/// <summary>Lets a copy go on that rests, was interrupted or has failed.</summary>
[Cmdlet(VerbsLifecycle.Resume, "SnapshotOperation", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low)]
[OutputType(typeof(SnapshotOperation), typeof(OperationPlan))]
public sealed class ResumeSnapshotOperation : OperationCmdlet
{
    private protected override void Act(Guid id) => Change("Resuming", Engine.Operations.Resume(id), operation =>
    {
        WorkerProcess.Ensure(this, Engine);
        WriteObject(operation);
    });
}
