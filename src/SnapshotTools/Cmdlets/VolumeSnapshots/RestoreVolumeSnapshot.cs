using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Brings a volume back to one of its own snapshots.</summary>
[Cmdlet(VerbsData.Restore, "VolumeSnapshot", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High, DefaultParameterSetName = ByName)]
[OutputType(typeof(VmVolume), typeof(OperationPlan))]
public sealed class RestoreVolumeSnapshot : LockingCmdlet
{
    private const string ByName = "Name";
    private const string BySnapshot = "VolumeSnapshot";
    private const string Example = "Restore-VolumeSnapshot data before-upgrade";

    /// <summary>The volume: name or id. With a snapshot from the pipeline it must be the snapshot's own.</summary>
    [Parameter(ParameterSetName = ByName, Position = 0, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = BySnapshot, Position = 0)]
    [Alias("Volume")]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(VolumeNameCompleter))]
    public string? VolumeName { get; set; }

    /// <summary>Snapshots from the pipeline.</summary>
    [Parameter(ParameterSetName = BySnapshot, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VolumeSnapshot))]
    public VolumeSnapshot? VolumeSnapshot { get; set; }

    /// <summary>The snapshot: name, id, or a pattern that matches one.</summary>
    [Parameter(ParameterSetName = ByName, Position = 1, ValueFromPipelineByPropertyName = true)]
    [Alias("SnapshotName")]
    [SupportsWildcards]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(VolumeSnapshotNameCompleter))]
    public string? Name { get; set; }

    /// <summary>Keeps the backup snapshot, which holds the present state from before the restore.</summary>
    [Parameter]
    public SwitchParameter KeepBackup { get; set; }

    /// <summary>Writes the volume.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        if (ParameterSetName == ByName) Restore(Piped.Required(VolumeName, "volume", Example), Piped.Required(Name, "snapshot", Example));
        else Restore(VolumeName ?? VolumeSnapshot!.VolumeId.ToString(), VolumeSnapshot!.Id.ToString());
    }

    private void Restore(string volume, string snapshot) =>
        Change("Restoring a volume", Engine.VolumeSnapshots.Restore(volume, snapshot, KeepBackup), restored => { if (PassThru) WriteObject(restored); });
}
