using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Lists the snapshots of single volumes, those that are part of VM snapshots included.</summary>
[Cmdlet(VerbsCommon.Get, "VolumeSnapshot", DefaultParameterSetName = ByName)]
[OutputType(typeof(VolumeSnapshot))]
public sealed class GetVolumeSnapshot : StoreCmdlet
{
    private const string ByName = "Name";
    private const string ByVolume = "VmVolume";
    private const string BySnapshot = "VmSnapshot";
    private const string ById = "Id";

    /// <summary>The volumes: names, with wildcards, or ids; all by default.</summary>
    [Parameter(ParameterSetName = ByName, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ByVolume, DontShow = true)]
    [Alias("Volume")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(VolumeNameCompleter))]
    public string[]? VolumeName { get; set; }

    /// <summary>Volumes from the pipeline.</summary>
    [Parameter(ParameterSetName = ByVolume, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmVolume))]
    public VmVolume? VmVolume { get; set; }

    /// <summary>VM snapshots from the pipeline: the volume snapshots that they are made of.</summary>
    [Parameter(ParameterSetName = BySnapshot, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmSnapshot))]
    public VmSnapshot? VmSnapshot { get; set; }

    /// <summary>The snapshots: names, with wildcards, or ids; all by default.</summary>
    [Parameter(ParameterSetName = ByName, Position = 1, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ByVolume, Position = 1)]
    [Alias("SnapshotName")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(VolumeSnapshotNameCompleter))]
    public string[]? Name { get; set; }

    /// <summary>The snapshots' ids.</summary>
    [Parameter(ParameterSetName = ById, Mandatory = true)]
    public Guid[]? Id { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        if (ParameterSetName == BySnapshot)
        {
            WriteObject(Engine.Snapshots.Get(VmSnapshot!.VmId.ToString(), VmSnapshot.Id.ToString()).Volumes, enumerateCollection: true);
            return;
        }
        var (volumes, names) = ParameterSetName switch
        {
            ById => ([], Id!.Select(id => id.ToString()).ToArray()),
            ByVolume => ([VmVolume!.Id.ToString()], Piped.Second(VolumeName, nameof(VolumeName), Name)),
            _ => (VolumeName ?? [], Name ?? []),
        };
        var engine = Engine;
        string[] known = [.. volumes.Where(volume => Named.IsPattern(volume) || Try(() => engine.Volumes.Get(volume), volume))];
        if (known.Length == 0 && volumes.Length > 0) return;     // no volume at all would stand for all
        var found = engine.VolumeSnapshots.Find(known, names);
        WriteObject(found, enumerateCollection: true);
        foreach (string name in names) Try(() => Named.VolumeSnapshotMustExist(engine, known, name, found), name);
    }
}
