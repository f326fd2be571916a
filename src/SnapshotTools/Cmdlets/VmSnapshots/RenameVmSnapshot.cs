using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Gives a VM snapshot another name. Its id stays.</summary>
[Cmdlet(VerbsCommon.Rename, "VmSnapshot", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low, DefaultParameterSetName = ByName)]
[OutputType(typeof(VmSnapshot), typeof(OperationPlan))]
public sealed class RenameVmSnapshot : LockingCmdlet
{
    private const string ByName = "Name";
    private const string BySnapshot = "VmSnapshot";
    private const string Example = "Rename-VmSnapshot web01 before-upgrade version-1";

    /// <summary>The VM: name or id.</summary>
    [Parameter(ParameterSetName = ByName, Position = 0, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = BySnapshot, DontShow = true)]
    [Alias("Vm")]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(VmNameCompleter))]
    public string? VmName { get; set; }

    /// <summary>A snapshot from the pipeline.</summary>
    [Parameter(ParameterSetName = BySnapshot, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmSnapshot))]
    public VmSnapshot? VmSnapshot { get; set; }

    /// <summary>The snapshot: name, id, or a pattern that matches one.</summary>
    [Parameter(ParameterSetName = ByName, Position = 1, ValueFromPipelineByPropertyName = true)]
    [Alias("SnapshotName")]
    [SupportsWildcards]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(VmSnapshotNameCompleter))]
    public string? Name { get; set; }

    /// <summary>The new name, unique on the VM.</summary>
    [Parameter(ParameterSetName = ByName, Position = 2, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = BySnapshot, ValueFromPipelineByPropertyName = true)]
    public string? NewName { get; set; }

    /// <summary>Writes the snapshot with its new name.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        if (ParameterSetName == ByName) Rename(Piped.Required(VmName, "VM", Example), Piped.Required(Name, "snapshot", Example), Name!, NewName);
        else Rename(VmSnapshot!.VmId.ToString(), VmSnapshot.Id.ToString(), VmSnapshot.Name, Piped.SecondOne(VmName is null ? null : [VmName], nameof(VmName), NewName));
    }

    private void Rename(string vm, string snapshot, string name, string? newName) =>
        Change($"Renaming '{name}'", Engine.Snapshots.Rename(vm, snapshot, Piped.Required(newName, "new name", Example)), renamed => { if (PassThru) WriteObject(renamed); });
}
