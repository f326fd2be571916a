using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Makes a template of a VM or of a snapshot of it.</summary>
[Cmdlet(VerbsCommon.New, "VmTemplate", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low, DefaultParameterSetName = ByName)]
[OutputType(typeof(VmTemplate), typeof(OperationPlan))]
public sealed class NewVmTemplate : ReplicatingCmdlet
{
    /// <summary>The template's name.</summary>
    [Parameter(Position = 1)]
    [Alias("TemplateName")]
    public string? Name { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        var engine = Engine;
        string? name = SecondName(Name);
        Clone($"Making template '{name}'", engine, engine.Templates.Create(new VmCloneRequest
        {
            Source = Source("New-VmTemplate web01 web"),
            Snapshot = Snapshot,
            Name = Piped.Required(name, "template", "New-VmTemplate web01 web"),
            Linked = Linked,
            Description = Description,
            Pace = Pace,
        }), made => made.Clones, made => WriteObject(engine.Templates.Get(made.Template.Id.ToString())));
    }
}
