using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Changes what is written down about a VM snapshot: its description, its tags, its expiry. What is not named stays.</summary>
[Cmdlet(VerbsCommon.Set, "VmSnapshot", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low, DefaultParameterSetName = ByName)]
[OutputType(typeof(VmSnapshot), typeof(OperationPlan))]
public sealed class SetVmSnapshot : LockingCmdlet
{
    private const string ByName = "Name";
    private const string BySnapshot = "VmSnapshot";
    private const string Example = "Set-VmSnapshot web01 before-upgrade -Tag keep";

    /// <summary>The VM: name or id.</summary>
    [Parameter(ParameterSetName = ByName, Position = 0, ValueFromPipelineByPropertyName = true)]
    [Alias("Vm")]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(VmNameCompleter))]
    public string? VmName { get; set; }

    /// <summary>Snapshots from the pipeline.</summary>
    [Parameter(ParameterSetName = BySnapshot, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmSnapshot))]
    public VmSnapshot? VmSnapshot { get; set; }

    /// <summary>The snapshots: names, ids, or patterns that match one each.</summary>
    [Parameter(ParameterSetName = ByName, Position = 1, ValueFromPipelineByPropertyName = true)]
    [Alias("SnapshotName")]
    [SupportsWildcards]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(VmSnapshotNameCompleter))]
    public string[]? Name { get; set; }

    /// <summary>The new description; an empty text removes it.</summary>
    [Parameter(ParameterSetName = ByName, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = BySnapshot)]
    [AllowEmptyString]
    public string? Description { get; set; }

    /// <summary>The new tags, in place of all earlier ones; @() removes them, an empty text or cell of a table leaves them.</summary>
    [Parameter(ParameterSetName = ByName, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = BySnapshot)]
    [AllowEmptyCollection]
    [ArgumentCompleter(typeof(TagCompleter))]
    public string[]? Tag { get; set; }

    /// <summary>After when it is no longer wanted: a date, or a time from now such as 30d.</summary>
    [Parameter(ParameterSetName = ByName, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = BySnapshot)]
    [Expiry]
    public DateTimeOffset? ExpiresAt { get; set; }

    /// <summary>Removes the expiry.</summary>
    [Parameter]
    public SwitchParameter NeverExpires { get; set; }

    /// <summary>Writes the changed snapshots.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        if (Description is null && Cells.Texts(Tag) is null && ExpiresAt is null && !NeverExpires)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, "Nothing to change. Give -Description, -Tag, -ExpiresAt or -NeverExpires.");
        if (ExpiresAt is not null && NeverExpires)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput, "-ExpiresAt and -NeverExpires exclude each other. Use one of them.");
        if (ParameterSetName == BySnapshot)
        {
            Set(VmSnapshot!.VmId.ToString(), VmSnapshot.Id.ToString(), VmSnapshot.Name);
        }
        else
        {
            string vm = Piped.Required(VmName, "VM", Example);
            foreach (string name in Piped.Required(Name, "snapshot", Example)) Try(() => Set(vm, name, name), name);
        }
    }

    private void Set(string vm, string snapshot, string name) =>
        Change($"Changing '{name}'", Engine.Snapshots.Set(vm, snapshot, new SnapshotChanges
        {
            Description = Description,
            Tags = Cells.Texts(Tag),
            ExpiresAt = ExpiresAt,
            NeverExpires = NeverExpires,
        }), changed => { if (PassThru) WriteObject(changed); });
}
