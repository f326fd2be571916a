using System.Management.Automation;
using SnapshotTools.Core;
using SnapshotTools.Embedded;

namespace SnapshotTools.Cmdlets;

/// <summary>Mends what Test-SnapshotStore finds, and rebuilds a catalog that is lost. What cannot be mended is written too, with what it affects.</summary>
[Cmdlet(VerbsDiagnostic.Repair, "SnapshotStore", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(StoreRepair), typeof(OperationPlan))]
public sealed class RepairSnapshotStore : LockingCmdlet
{
    /// <summary>The store's directory; $env:SNAPSHOTTOOLS_STORE by default, else SnapshotTools in the user's data folder.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("Path")]
    public override string? Store { get; set; }

    /// <summary>Other directories to look for missing layers in; a layer is known by its own identity, whatever its file is called.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[] SearchPath { get; set; } = [];

    /// <summary>Deletes the files that earlier repairs took out of the way, instead of repairing.</summary>
    [Parameter]
    public SwitchParameter EmptyQuarantine { get; set; }

    // A file in quarantine may be the only copy of what it holds; a repair deletes nothing, and runs unwatched.
    private protected override bool HasHighImpact(OperationPlan plan) => EmptyQuarantine && plan.IsDestructive;

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        if (EmptyQuarantine) Change("Emptying the quarantine", Engine.EmptyQuarantine());
        else Change("Repairing the store", EmbeddedStore.Repair(StorePath, [.. SearchPath.Select(p => FullPath(p))], OpenedStore.NewCompute), repairs => WriteObject(repairs, enumerateCollection: true));
    }
}
