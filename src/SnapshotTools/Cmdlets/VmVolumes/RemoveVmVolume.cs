using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Removes volumes that no VM has attached. An adopted image stays where it is.</summary>
[Cmdlet(VerbsCommon.Remove, "VmVolume", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(VmVolume), typeof(OperationPlan))]
public sealed class RemoveVmVolume : LockingCmdlet
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

    /// <summary>Makes linked clones independent first, which copies their data.</summary>
    [Parameter]
    public SwitchParameter Flatten { get; set; }

    /// <summary>Removes it in spite of linked clones; what they need goes with the last of them.</summary>
    [Parameter]
    public SwitchParameter Defer { get; set; }

    /// <summary>Writes the volumes that were removed.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        if (ParameterSetName == ByName) foreach (string name in Piped.Required(Name, "volume", "Remove-VmVolume data")) Try(() => Remove(name, name), name);
        else Remove(VmVolume!.Id.ToString(), VmVolume.Name);
    }

    private void Remove(string volume, string name) =>
        Change($"Removing volume '{name}'", Engine.Volumes.Remove(volume, IncludeSnapshots, DependantParameters.Of(Flatten, Defer)), removed => { if (PassThru) WriteObject(removed); });
}
