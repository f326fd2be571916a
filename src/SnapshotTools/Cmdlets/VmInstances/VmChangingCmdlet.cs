using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>A cmdlet that changes VMs one by one, each named or from the pipeline.</summary>
public abstract class VmChangingCmdlet : LockingCmdlet
{
    private const string ByName = "Name";
    private const string ByVm = "VmInstance";

    /// <summary>The VMs: names, with wildcards, or ids.</summary>
    [Parameter(ParameterSetName = ByName, Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("VmName")]
    [SupportsWildcards]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(VmNameCompleter))]
    public string[]? Name { get; set; }

    /// <summary>VMs from the pipeline.</summary>
    [Parameter(ParameterSetName = ByVm, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmInstance))]
    public VmInstance? VmInstance { get; set; }

    /// <summary>Writes the VM as it is then.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        if (ParameterSetName == ByVm) Change(VmInstance!.Id.ToString(), VmInstance.Name);
        else foreach (string given in Name!) Try(() => { foreach (var (id, name) in Named.Vms(Engine, given)) Try(() => Change(id, name), name); }, given);
    }

    /// <summary>The change, planned.</summary>
    private protected abstract PlannedOperation<VmInstance> Planned(string vm);

    /// <summary>What is being done, for the progress bar.</summary>
    private protected abstract string Doing { get; }

    private void Change(string vm, string name) => Change($"{Doing} '{name}'", Planned(vm), changed => { if (PassThru) WriteObject(changed); });
}
