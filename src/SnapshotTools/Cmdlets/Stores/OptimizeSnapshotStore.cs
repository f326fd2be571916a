using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>What an optimization of a store did.</summary>
/// <param name="Store">The store.</param>
/// <param name="LayersDeleted">Number of layers that were deleted whole.</param>
/// <param name="LayersMerged">Number of layers that were merged away.</param>
/// <param name="FreedBytes">Bytes on disk that became free.</param>
public sealed record StoreOptimization(string Store, int LayersDeleted, int LayersMerged, long FreedBytes);

/// <summary>Deletes or merges the layers that nothing needs, such as those that an interrupted operation left for later.</summary>
[Cmdlet(VerbsCommon.Optimize, "SnapshotStore", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low)]
[OutputType(typeof(StoreOptimization), typeof(OperationPlan))]
public sealed class OptimizeSnapshotStore : LockingCmdlet
{
    /// <summary>The store's directory; $env:SNAPSHOTTOOLS_STORE by default, else SnapshotTools in the user's data folder.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("Path")]
    public override string? Store { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        var operation = Engine.Optimize();
        Change("Optimizing the store", operation, freed => WriteObject(new StoreOptimization(StorePath, operation.Plan.LayersDeleted, operation.Plan.LayersMerged, freed)));
    }
}
