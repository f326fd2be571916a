using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Removes VM snapshots; the layers that nothing else needs are deleted or merged. The present and all other snapshots stay.</summary>
[Cmdlet(VerbsCommon.Remove, "VmSnapshot", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High, DefaultParameterSetName = ByName)]
[OutputType(typeof(VmSnapshot), typeof(OperationPlan))]
public sealed class RemoveVmSnapshot : RemovalCmdlet
{
    private const string ByName = "Name";
    private const string ByVm = "VmInstance";
    private const string BySnapshot = "VmSnapshot";

    private const string Example = "Remove-VmSnapshot web01 before-upgrade";

    private readonly HashSet<Guid> _removed = [];

    /// <summary>The VMs: names or ids.</summary>
    [Parameter(ParameterSetName = ByName, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ByVm, DontShow = true)]
    [Alias("Vm")]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(VmNameCompleter))]
    public string[]? VmName { get; set; }

    /// <summary>VMs from the pipeline.</summary>
    [Parameter(ParameterSetName = ByVm, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmInstance))]
    public VmInstance? VmInstance { get; set; }

    /// <summary>Snapshots from the pipeline.</summary>
    [Parameter(ParameterSetName = BySnapshot, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmSnapshot))]
    public VmSnapshot? VmSnapshot { get; set; }

    /// <summary>The snapshots: names, ids, or patterns that match one each.</summary>
    [Parameter(ParameterSetName = ByName, Position = 1, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ByVm, Position = 1)]
    [Alias("SnapshotName")]
    [SupportsWildcards]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(VmSnapshotNameCompleter))]
    public string[]? Name { get; set; }

    /// <summary>Removes all snapshots that descend from it too.</summary>
    [Parameter]
    public SwitchParameter IncludeChildren { get; set; }

    /// <summary>Forgets the VM snapshot only; its volume snapshots stay, each by itself.</summary>
    [Parameter]
    public SwitchParameter MetadataOnly { get; set; }

    /// <summary>How many bytes a second may be copied at most where layers are merged under a running guest; as many as it can by default.</summary>
    [Parameter]
    [ValidateRange(1, long.MaxValue)]
    public long MaxBytesPerSecond { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        switch (ParameterSetName)
        {
            case BySnapshot:
                // A descendant that went with its ancestor a moment ago is no error.
                if (!_removed.Contains(VmSnapshot!.Id)) Remove(VmSnapshot.VmId.ToString(), VmSnapshot.Id.ToString(), VmSnapshot.Name);
                break;
            case ByVm:
                RemoveEach(VmInstance!.Id.ToString(), Piped.Second(VmName, nameof(VmName), Name));
                break;
            default:
                foreach (string vm in Piped.Required(VmName, "VM", Example)) RemoveEach(vm, Name);
                break;
        }
    }

    private void RemoveEach(string vm, string[]? names)
    {
        foreach (string name in Piped.Required(names, "snapshot", Example)) Try(() => Remove(vm, name, name), name);
    }

    private void Remove(string vm, string snapshot, string name) =>
        Change($"Removing snapshot '{name}'", Engine.Snapshots.Remove(new RemoveSnapshotRequest
        {
            Vm = vm,
            Snapshot = snapshot,
            IncludeChildren = IncludeChildren,
            MetadataOnly = MetadataOnly,
            Dependants = Dependants,
        }), removed =>
        {
            _removed.UnionWith(removed.Select(s => s.Id));
            if (PassThru) WriteObject(removed, enumerateCollection: true);
        }, (options, _) => options with { BytesPerSecond = MaxBytesPerSecond });
}
