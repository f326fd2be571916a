using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Takes a snapshot of a single volume.</summary>
[Cmdlet(VerbsCommon.New, "VolumeSnapshot", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low, DefaultParameterSetName = ByName)]
[OutputType(typeof(VolumeSnapshot), typeof(OperationPlan))]
public sealed class NewVolumeSnapshot : LockingCmdlet
{
    private const string ByName = "Name";
    private const string ByVolume = "VmVolume";

    /// <summary>The volumes: names, with wildcards, or ids.</summary>
    [Parameter(ParameterSetName = ByName, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ByVolume, DontShow = true)]
    [Alias("Volume")]
    [SupportsWildcards]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(VolumeNameCompleter))]
    public string[]? VolumeName { get; set; }

    /// <summary>Volumes from the pipeline.</summary>
    [Parameter(ParameterSetName = ByVolume, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmVolume))]
    public VmVolume? VmVolume { get; set; }

    /// <summary>The snapshot's name, unique on the volume; without it the time makes one.</summary>
    [Parameter(ParameterSetName = ByName, Position = 1, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ByVolume, Position = 1)]
    [Alias("SnapshotName")]
    public string? Name { get; set; }

    /// <summary>What the snapshot is taken for.</summary>
    [Parameter(ParameterSetName = ByName, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ByVolume)]
    public string? Description { get; set; }

    /// <summary>Gives back the snapshot of that name where there is one already, instead of an error.</summary>
    [Parameter]
    public SwitchParameter Ensure { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        if (ParameterSetName == ByVolume)
        {
            string? name = Piped.SecondOne(VolumeName, nameof(VolumeName), Name);
            Take(VmVolume!.Id.ToString(), VmVolume.Name, name);
        }
        else
        {
            foreach (string volume in Piped.Required(VolumeName, "volume", "New-VolumeSnapshot data before-upgrade"))
                Try(() => { foreach (var (id, name) in Named.Volumes(Engine, volume)) Try(() => Take(id, name, Name), name); }, volume);
        }
    }

    private void Take(string volume, string volumeName, string? name) =>
        Change($"Taking a snapshot of volume '{volumeName}'", Engine.VolumeSnapshots.Create(volume, name, Description, Ensure), WriteObject);
}
