using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Removes snapshots of single volumes; layers that nothing else needs are deleted or merged.</summary>
[Cmdlet(VerbsCommon.Remove, "VolumeSnapshot", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High, DefaultParameterSetName = ByName)]
[OutputType(typeof(VolumeSnapshot), typeof(OperationPlan))]
public sealed class RemoveVolumeSnapshot : RemovalCmdlet
{
    private const string ByName = "Name";
    private const string ByVolume = "VmVolume";
    private const string BySnapshot = "VolumeSnapshot";
    private const string Example = "Remove-VolumeSnapshot data before-upgrade";

    /// <summary>The volumes: names or ids.</summary>
    [Parameter(ParameterSetName = ByName, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ByVolume, DontShow = true)]
    [Alias("Volume")]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(VolumeNameCompleter))]
    public string[]? VolumeName { get; set; }

    /// <summary>Volumes from the pipeline.</summary>
    [Parameter(ParameterSetName = ByVolume, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmVolume))]
    public VmVolume? VmVolume { get; set; }

    /// <summary>Snapshots from the pipeline.</summary>
    [Parameter(ParameterSetName = BySnapshot, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VolumeSnapshot))]
    public VolumeSnapshot? VolumeSnapshot { get; set; }

    /// <summary>The snapshots: names, ids, or patterns that match one each.</summary>
    [Parameter(ParameterSetName = ByName, Position = 1, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ByVolume, Position = 1)]
    [Alias("SnapshotName")]
    [SupportsWildcards]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(VolumeSnapshotNameCompleter))]
    public string[]? Name { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        switch (ParameterSetName)
        {
            case BySnapshot:
                Remove(VolumeSnapshot!.VolumeId.ToString(), VolumeSnapshot.Id.ToString(), VolumeSnapshot.Name);
                break;
            case ByVolume:
                RemoveEach(VmVolume!.Id.ToString(), Piped.Second(VolumeName, nameof(VolumeName), Name));
                break;
            default:
                foreach (string volume in Piped.Required(VolumeName, "volume", Example)) RemoveEach(volume, Name);
                break;
        }
    }

    private void RemoveEach(string volume, string[]? names)
    {
        foreach (string name in Piped.Required(names, "snapshot", Example)) Try(() => Remove(volume, name, name), name);
    }

    private void Remove(string volume, string snapshot, string name) =>
        Change($"Removing snapshot '{name}'", Engine.VolumeSnapshots.Remove(volume, snapshot, Dependants), removed => { if (PassThru) WriteObject(removed); });
}
