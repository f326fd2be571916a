using System.Management.Automation;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Lists VM instances.</summary>
[Cmdlet(VerbsCommon.Get, "VmInstance", DefaultParameterSetName = ByName)]
[OutputType(typeof(VmInstance))]
public sealed class GetVmInstance : StoreCmdlet
{
    private const string ByName = "Name";
    private const string ById = "Id";

    /// <summary>The VMs: names, with wildcards, or ids; all by default.</summary>
    [Parameter(ParameterSetName = ByName, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("VmName")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(VmNameCompleter))]
    public string[]? Name { get; set; }

    /// <summary>The VMs' ids.</summary>
    [Parameter(ParameterSetName = ById, Mandatory = true)]
    public Guid[]? Id { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        string[]? names = ParameterSetName == ById ? [.. Id!.Select(id => id.ToString())] : Name;
        if (names is null) WriteObject(Engine.Machines.Find(), enumerateCollection: true);
        else foreach (string name in names) Try(() => Write(name), name);
    }

    private void Write(string name)
    {
        if (Named.IsPattern(name)) WriteObject(Engine.Machines.Find(name), enumerateCollection: true);
        else WriteObject(Engine.Machines.Get(name));
    }
}
