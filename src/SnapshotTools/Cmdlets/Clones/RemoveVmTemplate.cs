using System.Management.Automation;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Removes templates with their volumes.</summary>
[Cmdlet(VerbsCommon.Remove, "VmTemplate", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(VmTemplate), typeof(OperationPlan))]
public sealed class RemoveVmTemplate : RemovalCmdlet
{
    /// <summary>The templates: names or ids.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ArgumentCompleter(typeof(TemplateNameCompleter))]
    public string[]? Name { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        foreach (string name in Name!)
            Try(() => Change($"Removing template '{name}'", Engine.Templates.Remove(name, Dependants), removed => { if (PassThru) WriteObject(removed); }), name);
    }
}
