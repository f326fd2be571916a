using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Clones volumes, from their present or from snapshots, all of one instant. The clones can be used at once.</summary>
[Cmdlet(VerbsCommon.Copy, "Volume", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low, DefaultParameterSetName = ByName)]
[OutputType(typeof(VmVolume), typeof(OperationPlan))]
public sealed class CopyVolume : CloningCmdlet
{
    private const string ByName = "Name";
    private const string ByVolume = "VmVolume";
    private const string ByVolumeSnapshot = "VolumeSnapshot";
    private const string ByVmSnapshot = "VmSnapshot";

    private readonly List<(string Store, SnapshotEngine Engine, string Volume, string VolumeName, Guid? Snapshot)> _sources = [];

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

    /// <summary>Volume snapshots from the pipeline.</summary>
    [Parameter(ParameterSetName = ByVolumeSnapshot, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VolumeSnapshot))]
    public VolumeSnapshot? VolumeSnapshot { get; set; }

    /// <summary>VM snapshots from the pipeline: all volumes of each.</summary>
    [Parameter(ParameterSetName = ByVmSnapshot, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmSnapshot))]
    public VmSnapshot? VmSnapshot { get; set; }

    /// <summary>The snapshot of the volumes to clone, by name; their present without it.</summary>
    [Parameter(ParameterSetName = ByName)]
    [ArgumentCompleter(typeof(VolumeSnapshotNameCompleter))]
    public string? SnapshotName { get; set; }

    /// <summary>The clones' names: one for each source, or one pattern with * for the source's name.</summary>
    [Parameter(Position = 1)]
    [ValidateNotNullOrEmpty]
    public string[]? Name { get; set; }

    /// <summary>Stops at linked clones, which keep their sources' layers as their bases: nothing is copied.</summary>
    [Parameter]
    public SwitchParameter Linked { get; set; }

    /// <summary>What the clones are for.</summary>
    [Parameter]
    public string? Description { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        switch (ParameterSetName)
        {
            case ByVolume:
                if (VolumeName is { Length: > 0 }) Name = Piped.Second(VolumeName, nameof(VolumeName), Name ?? []);
                VolumeName = null;
                Add(VmVolume!.Id.ToString(), VmVolume.Name, null);
                break;
            case ByVolumeSnapshot:
                Add(VolumeSnapshot!.VolumeId.ToString(), VolumeSnapshot.VolumeName, VolumeSnapshot.Id);
                break;
            case ByVmSnapshot:
                foreach (var part in Engine.Snapshots.Get(VmSnapshot!.VmId.ToString(), VmSnapshot.Id.ToString()).Volumes) Add(part.VolumeId.ToString(), part.VolumeName, part.Id);
                break;
            default:
                foreach (string wanted in Piped.Required(VolumeName, "volume", "Copy-Volume data data-copy"))
                    foreach (var (id, name) in Named.Volumes(Engine, wanted))
                        Add(id, name, SnapshotName is null ? null : Engine.VolumeSnapshots.Get(id, SnapshotName).Id);
                break;
        }
    }

    /// <summary>All that was piped is cloned together: it is to be of one instant.</summary>
    protected override void Finish()
    {
        if (Name is { Length: > 1 } && Name.Length != _sources.Count)
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput,
                $"{Name.Length} names were given for {_sources.Count} volumes. Give each its own, or one pattern with * for the source's name: -Name '*-copy'", Name);
        if (Name is [var one] && _sources.Count > 1 && !one.Contains('*', StringComparison.Ordinal))
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput,
                $"One name, '{one}', was given for {_sources.Count} volumes. Use a pattern with * for the source's name: -Name '*-copy'", one);
        int index = 0;
        foreach (var group in _sources.GroupBy(s => s.Store).ToList())
        {
            var sources = group.Select(s => new CloneSource(s.Volume, s.Snapshot, Name switch { null => null, [var pattern] => pattern, _ => Name[index++] }, Description)).ToList();
            string names = string.Join(", ", group.Select(s => s.VolumeName));
            var engine = group.First().Engine;
            Clone($"Cloning {names}", engine, engine.Volumes.Clone(new CloneRequest { Sources = sources, Linked = Linked, Pace = Pace }), made => made,
                made => { foreach (var volume in made.Volumes) WriteObject(engine.Volumes.Get(volume.Id.ToString())); });
        }
    }

    private void Add(string volume, string name, Guid? snapshot) => _sources.Add((StorePath, Engine, volume, name, snapshot));
}
