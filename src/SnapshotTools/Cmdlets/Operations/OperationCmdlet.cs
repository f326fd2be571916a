using System.Management.Automation;
using SnapshotTools.Core;
using SnapshotTools.Module;

namespace SnapshotTools.Cmdlets;

/// <summary>A cmdlet that tells operations what to do, whichever process works on them.</summary>
public abstract class OperationCmdlet : ChangingCmdlet
{
    /// <summary>The operations' ids, or those of volumes that are being copied.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    public Guid[]? Id { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        foreach (var id in Id!) Try(() => Act(id), id);
    }

    /// <summary>Does it to one.</summary>
    private protected abstract void Act(Guid id);
}

/// <summary>Lets a copy rest.</summary>
[Cmdlet(VerbsLifecycle.Suspend, "SnapshotOperation", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low)]
[OutputType(typeof(SnapshotOperation), typeof(OperationPlan))]
public sealed class SuspendSnapshotOperation : OperationCmdlet
{
    private protected override void Act(Guid id) => Change("Pausing", Engine.Operations.Suspend(id), WriteObject);
}

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
