using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Removes VM instances. Their volumes stay, unless it is told otherwise.</summary>
[Cmdlet(VerbsCommon.Remove, "VmInstance", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High, DefaultParameterSetName = ByName)]
[OutputType(typeof(VmInstance), typeof(OperationPlan))]
public sealed class RemoveVmInstance : RemovalCmdlet
{
    private const string ByName = "Name";
    private const string ByVm = "VmInstance";

    /// <summary>The VMs: names or ids.</summary>
    [Parameter(ParameterSetName = ByName, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("VmName")]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(VmNameCompleter))]
    public string[]? Name { get; set; }

    /// <summary>VMs from the pipeline.</summary>
    [Parameter(ParameterSetName = ByVm, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmInstance))]
    public VmInstance? VmInstance { get; set; }

    /// <summary>Removes the volumes that only this VM has.</summary>
    [Parameter]
    public SwitchParameter IncludeVolumes { get; set; }

    /// <summary>Removes the VM's snapshots too.</summary>
    [Parameter]
    public SwitchParameter IncludeSnapshots { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        if (ParameterSetName == ByName) foreach (string name in Piped.Required(Name, "VM", "Remove-VmInstance web01")) Try(() => Remove(name, name), name);
        else Remove(VmInstance!.Id.ToString(), VmInstance.Name);
    }

    private void Remove(string vm, string name) =>
        Change($"Removing VM '{name}'", Engine.Machines.Remove(vm, IncludeVolumes, IncludeSnapshots, Dependants), removed => { if (PassThru) WriteObject(removed); });
}
