using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Removes volumes that no VM has attached. An adopted image stays where it is.</summary>
[Cmdlet(VerbsCommon.Remove, "VmVolume", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High, DefaultParameterSetName = ByName)]
[OutputType(typeof(VmVolume), typeof(OperationPlan))]
public sealed class RemoveVmVolume : RemovalCmdlet
{
    private const string ByName = "Name";
    private const string ByVolume = "VmVolume";

    /// <summary>The volumes: names or ids.</summary>
    [Parameter(ParameterSetName = ByName, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("VolumeName")]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(VolumeNameCompleter))]
    public string[]? Name { get; set; }

    /// <summary>Volumes from the pipeline.</summary>
    [Parameter(ParameterSetName = ByVolume, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmVolume))]
    public VmVolume? VmVolume { get; set; }

    /// <summary>Removes the volume's snapshots too.</summary>
    [Parameter]
    public SwitchParameter IncludeSnapshots { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        if (ParameterSetName == ByName) foreach (string name in Piped.Required(Name, "volume", "Remove-VmVolume data")) Try(() => Remove(name, name), name);
        else Remove(VmVolume!.Id.ToString(), VmVolume.Name);
    }

    private void Remove(string volume, string name) =>
        Change($"Removing volume '{name}'", Engine.Volumes.Remove(volume, IncludeSnapshots, Dependants), removed => { if (PassThru) WriteObject(removed); });
}
