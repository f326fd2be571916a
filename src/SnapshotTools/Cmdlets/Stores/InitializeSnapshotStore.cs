using System.Management.Automation;
using SnapshotTools.Core;
using SnapshotTools.Embedded;

namespace SnapshotTools.Cmdlets;

/// <summary>Makes a store in a directory. A store that is there already is left as it is.</summary>
[Cmdlet(VerbsData.Initialize, "SnapshotStore", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low)]
[OutputType(typeof(StoreInfo), typeof(OperationPlan))]
public sealed class InitializeSnapshotStore : ChangingCmdlet
{
    /// <summary>The directory; $env:SNAPSHOTTOOLS_STORE by default, else SnapshotTools in the user's data folder.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("Path")]
    public override string? Store { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem() => Change("Making a store", EmbeddedStore.Initialize(StorePath, OpenedStore.NewCompute), WriteObject);
}
