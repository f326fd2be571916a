using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Lists volumes with their sizes and what they take on disk.</summary>
[Cmdlet(VerbsCommon.Get, "VmVolume", DefaultParameterSetName = ByName)]
[OutputType(typeof(VmVolume))]
public sealed class GetVmVolume : StoreCmdlet
{
    private const string ByName = "Name";
    private const string ByVm = "VmInstance";
    private const string ById = "Id";

    /// <summary>The volumes: names, with wildcards, or ids; all by default.</summary>
    [Parameter(ParameterSetName = ByName, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("VolumeName")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(VolumeNameCompleter))]
    public string[]? Name { get; set; }

    /// <summary>VMs from the pipeline: the volumes attached to them.</summary>
    [Parameter(ParameterSetName = ByVm, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmInstance))]
    public VmInstance? VmInstance { get; set; }

    /// <summary>The volumes' ids.</summary>
    [Parameter(ParameterSetName = ById, Mandatory = true)]
    public Guid[]? Id { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        string[]? names = ParameterSetName switch
        {
            ById => [.. Id!.Select(id => id.ToString())],
            ByVm => [.. Engine.Machines.Get(VmInstance!.Id.ToString()).Volumes.Select(v => v.VolumeId.ToString())],
            _ => Name,
        };
        if (names is null) WriteObject(Engine.Volumes.Find(), enumerateCollection: true);
        else foreach (string name in names) Try(() => Write(name), name);
    }

    private void Write(string name)
    {
        if (Named.IsPattern(name)) WriteObject(Engine.Volumes.Find(name), enumerateCollection: true);
        else WriteObject(Engine.Volumes.Get(name));
    }
}
