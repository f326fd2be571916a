using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Brings a VM back to a snapshot, or goes on with a restore that failed. No snapshot is lost by it.</summary>
[Cmdlet(VerbsData.Restore, "VmSnapshot", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High, DefaultParameterSetName = ByName)]
[OutputType(typeof(VmInstance), typeof(OperationPlan))]
public sealed class RestoreVmSnapshot : LockingCmdlet
{
    private const string ByName = "Name";
    private const string ByVm = "VmInstance";
    private const string BySnapshot = "VmSnapshot";

    /// <summary>The VM: name or id.</summary>
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

    /// <summary>The snapshot: name, id, or a pattern that matches one. Left out only to go on with a failed restore.</summary>
    [Parameter(ParameterSetName = ByName, Position = 1, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ByVm, Position = 1)]
    [Alias("SnapshotName")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(VmSnapshotNameCompleter))]
    public string? Name { get; set; }

    /// <summary>Only these of the snapshot's volumes; the others stay as they are.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(VmVolumeNameCompleter))]
    public string[]? Volume { get; set; }

    /// <summary>Keeps the backup snapshot, which holds the present state from before the restore.</summary>
    [Parameter]
    public SwitchParameter KeepBackup { get; set; }

    /// <summary>What to do when the restore fails, or how to end one that failed: Retry goes on, Rollback returns to the state before.</summary>
    [Parameter]
    public FailAction FailAction { get; set; }

    /// <summary>May turn a running VM off. It is started again afterwards, unless the snapshot has memory: then it is suspended.</summary>
    [Parameter]
    public SwitchParameter StopVm { get; set; }

    /// <summary>Starts the VM afterwards; from the snapshot's memory where it has one.</summary>
    [Parameter]
    public SwitchParameter Start { get; set; }

    /// <summary>Gives the VM a new generation id, by which its guest knows that it is another copy of itself.</summary>
    [Parameter]
    public SwitchParameter NewGenerationId { get; set; }

    /// <summary>Writes the VM.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        switch (ParameterSetName)
        {
            case BySnapshot:
                Restore(VmSnapshot!.VmId.ToString(), VmSnapshot.VmName, VmSnapshot.Id.ToString());
                break;
            case ByVm:
                string? name = Piped.SecondOne(VmName, nameof(VmName), Name);
                Restore(VmInstance!.Id.ToString(), VmInstance.Name, name);
                break;
            default:
                foreach (string vm in Piped.Required(VmName, "VM", "Restore-VmSnapshot web01 before-upgrade")) Try(() => Restore(vm, vm, Name), vm);
                break;
        }
    }

    private void Restore(string vm, string vmName, string? snapshot) =>
        Change($"Restoring '{vmName}'", Engine.Snapshots.Restore(new RestoreRequest
        {
            Vm = vm,
            Snapshot = snapshot,
            Volumes = Volume ?? [],
            KeepBackup = KeepBackup,
            FailAction = FailAction,
            StopVm = StopVm,
            Start = Start,
            NewGenerationId = NewGenerationId,
        }), restored => { if (PassThru) WriteObject(restored); });
}
