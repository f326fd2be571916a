using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Shows a store: what is in it and what it takes on disk.</summary>
[Cmdlet(VerbsCommon.Get, "SnapshotStore")]
[OutputType(typeof(StoreInfo))]
public sealed class GetSnapshotStore : StoreCmdlet
{
    /// <summary>The store's directory; $env:SNAPSHOTTOOLS_STORE by default, else SnapshotTools in the user's data folder.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("Path")]
    public override string? Store { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem() => WriteObject(Engine.GetStore());
}
