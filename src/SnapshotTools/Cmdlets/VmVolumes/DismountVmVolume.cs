using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Detaches a volume from a VM. The volume and its snapshots stay in the store.</summary>
[Cmdlet(VerbsData.Dismount, "VmVolume", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium, DefaultParameterSetName = ByName)]
[OutputType(typeof(VmInstance), typeof(OperationPlan))]
public sealed class DismountVmVolume : LockingCmdlet
{
    private const string ByName = "Name";
    private const string ByVm = "VmInstance";
    private const string ByVolume = "VmVolume";
    private const string Example = "Dismount-VmVolume web01 data";

    /// <summary>The VM: name or id. With a volume from the pipeline: by default every VM that has it.</summary>
    [Parameter(ParameterSetName = ByName, Position = 0, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ByVolume, Position = 0)]
    [Parameter(ParameterSetName = ByVm, DontShow = true)]
    [Alias("Vm")]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(VmNameCompleter))]
    public string? VmName { get; set; }

    /// <summary>VMs from the pipeline.</summary>
    [Parameter(ParameterSetName = ByVm, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmInstance))]
    public VmInstance? VmInstance { get; set; }

    /// <summary>The volumes: names or ids.</summary>
    [Parameter(ParameterSetName = ByName, Position = 1, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ByVm, Position = 1)]
    [Alias("Volume")]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(VmVolumeNameCompleter))]
    public string[]? VolumeName { get; set; }

    /// <summary>Volumes from the pipeline.</summary>
    [Parameter(ParameterSetName = ByVolume, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmVolume))]
    public VmVolume? VmVolume { get; set; }

    /// <summary>Writes the VM.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        switch (ParameterSetName)
        {
            case ByVolume:
                foreach (string vm in VmName is null ? Engine.Volumes.Get(VmVolume!.Id.ToString()).AttachedTo : [VmName]) Try(() => Dismount(vm, VmVolume!.Id.ToString(), VmVolume.Name), VmVolume);
                break;
            case ByVm:
                DismountEach(VmInstance!.Id.ToString(), Piped.Second(VmName is null ? null : [VmName], nameof(VmName), VolumeName));
                break;
            default:
                DismountEach(Piped.Required(VmName, "VM", Example), VolumeName);
                break;
        }
    }

    private void DismountEach(string vm, string[]? volumes)
    {
        foreach (string volume in Piped.Required(volumes, "volume", Example)) Try(() => Dismount(vm, volume, volume), volume);
    }

    private void Dismount(string vm, string volume, string name) =>
        Change($"Detaching '{name}'", Engine.Machines.Detach(vm, volume), detached => { if (PassThru) WriteObject(detached); });
}
