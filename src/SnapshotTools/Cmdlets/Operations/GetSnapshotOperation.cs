using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Lists the operations of a store: what runs, what ended, what failed and why.</summary>
[Cmdlet(VerbsCommon.Get, "SnapshotOperation", DefaultParameterSetName = Listed)]
[OutputType(typeof(SnapshotOperation))]
public sealed class GetSnapshotOperation : StoreCmdlet
{
    private const string Listed = "List";
    private const string ById = "Id";

    /// <summary>The operations' ids; all by default.</summary>
    [Parameter(ParameterSetName = ById, Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    public Guid[]? Id { get; set; }

    /// <summary>Only operations in these states.</summary>
    [Parameter(ParameterSetName = Listed)]
    public OperationState[]? State { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        if (ParameterSetName == Listed)
        {
            WriteObject(Engine.Operations.Find().Where(o => State is null || State.Contains(o.State)), enumerateCollection: true);
            return;
        }
        foreach (var id in Id!) Try(() => Write(id), id);
    }

    private void Write(Guid id)
    {
        var found = Engine.Operations.Find(id);
        if (found.Count == 0)
            throw new SnapshotException(ErrorIds.OperationNotFound, ErrorKind.NotFound, $"The store '{StorePath}' has no operation {id}. Get-SnapshotOperation lists those it has.", id);
        WriteObject(found, enumerateCollection: true);
    }
}
