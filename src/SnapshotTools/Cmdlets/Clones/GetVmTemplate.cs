using System.Management.Automation;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Lists templates.</summary>
[Cmdlet(VerbsCommon.Get, "VmTemplate")]
[OutputType(typeof(VmTemplate))]
public sealed class GetVmTemplate : StoreCmdlet
{
    /// <summary>The templates: names, with wildcards, or ids; all by default.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(TemplateNameCompleter))]
    public string[]? Name { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        if (Name is null) WriteObject(Engine.Templates.Find(), enumerateCollection: true);
        else foreach (string name in Name) Try(() => Write(name), name);
    }

    private void Write(string name)
    {
        if (Named.IsPattern(name)) WriteObject(Engine.Templates.Find(name), enumerateCollection: true);
        else WriteObject(Engine.Templates.Get(name));
    }
}
