using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Attaches a volume to a VM, as its last.</summary>
[Cmdlet(VerbsData.Mount, "VmVolume", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low, DefaultParameterSetName = ByName)]
[OutputType(typeof(VmInstance), typeof(OperationPlan))]
public sealed class MountVmVolume : LockingCmdlet
{
    private const string ByName = "Name";
    private const string ByVm = "VmInstance";
    private const string ByVolume = "VmVolume";
    private const string Example = "Mount-VmVolume web01 data";

    /// <summary>The VM: name or id.</summary>
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
    [ArgumentCompleter(typeof(VolumeNameCompleter))]
    public string[]? VolumeName { get; set; }

    /// <summary>Volumes from the pipeline.</summary>
    [Parameter(ParameterSetName = ByVolume, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmVolume))]
    public VmVolume? VmVolume { get; set; }

    /// <summary>Whether the VM boots from it; by default the first volume of a VM does.</summary>
    [Parameter]
    public SwitchParameter Boot { get; set; }

    /// <summary>Allows other VMs to have it as well.</summary>
    [Parameter]
    public SwitchParameter Shared { get; set; }

    /// <summary>The bus that the guest sees it on.</summary>
    [Parameter]
    public DiskBus Bus { get; set; }

    /// <summary>Writes the VM.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        switch (ParameterSetName)
        {
            case ByVolume:
                Mount(Piped.Required(VmName, "VM", Example), VmVolume!.Id.ToString(), VmVolume.Name);
                break;
            case ByVm:
                MountEach(VmInstance!.Id.ToString(), Piped.Second(VmName is null ? null : [VmName], nameof(VmName), VolumeName));
                break;
            default:
                MountEach(Piped.Required(VmName, "VM", Example), VolumeName);
                break;
        }
    }

    private void MountEach(string vm, string[]? volumes)
    {
        foreach (string volume in Piped.Required(volumes, "volume", Example)) Try(() => Mount(vm, volume, volume), volume);
    }

    private void Mount(string vm, string volume, string name)
    {
        bool? boot = MyInvocation.BoundParameters.ContainsKey(nameof(Boot)) ? Boot.IsPresent : null;
        Change($"Attaching '{name}'", Engine.Machines.Attach(vm, new AttachRequest(volume, boot, Shared, Bus)), attached => { if (PassThru) WriteObject(attached); });
    }
}
