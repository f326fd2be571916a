using System.Management.Automation;
using SnapshotTools.Core;

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
