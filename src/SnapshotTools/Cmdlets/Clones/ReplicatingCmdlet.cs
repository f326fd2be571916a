using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>A cmdlet that makes something of a whole VM or of a snapshot of it.</summary>
public abstract class ReplicatingCmdlet : CloningCmdlet
{
    private protected const string ByName = "Name";
    private const string ByVm = "VmInstance";
    private const string BySnapshot = "VmSnapshot";

    /// <summary>The VM: name or id.</summary>
    [Parameter(ParameterSetName = ByName, Position = 0, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ByVm, DontShow = true)]
    [Parameter(ParameterSetName = BySnapshot, DontShow = true)]
    [Alias("Vm")]
    [ArgumentCompleter(typeof(VmNameCompleter))]
    public string? VmName { get; set; }

    /// <summary>VMs from the pipeline.</summary>
    [Parameter(ParameterSetName = ByVm, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmInstance))]
    public VmInstance? VmInstance { get; set; }

    /// <summary>VM snapshots from the pipeline.</summary>
    [Parameter(ParameterSetName = BySnapshot, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmSnapshot))]
    public VmSnapshot? VmSnapshot { get; set; }

    /// <summary>The snapshot of the VM, by name or id; its present without it.</summary>
    [Parameter(ParameterSetName = ByName)]
    [Parameter(ParameterSetName = ByVm)]
    [ArgumentCompleter(typeof(VmSnapshotNameCompleter))]
    public string? SnapshotName { get; set; }

    /// <summary>Stops at linked clones of the volumes, which keep their sources' layers as their bases: nothing is copied.</summary>
    [Parameter]
    public SwitchParameter Linked { get; set; }

    /// <summary>What it is for.</summary>
    [Parameter]
    public string? Description { get; set; }

    /// <summary>The VM's name or id.</summary>
    /// <param name="example">How the cmdlet is called.</param>
    private protected string Source(string example) => VmInstance?.Id.ToString() ?? VmSnapshot?.VmId.ToString() ?? Piped.Required(VmName, "VM", example);

    /// <summary>The snapshot's name or id; null for the VM's present.</summary>
    private protected string? Snapshot => VmSnapshot?.Id.ToString() ?? SnapshotName;

    /// <summary>The name that was given, which is the first argument when the VM comes from the pipeline.</summary>
    private protected string? SecondName(string? name) => ParameterSetName == ByName ? name : Piped.SecondOne(VmName is null ? null : [VmName], nameof(VmName), name);
}
