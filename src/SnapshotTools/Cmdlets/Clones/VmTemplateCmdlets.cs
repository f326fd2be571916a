using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Makes a template of a VM or of a snapshot of it.</summary>
[Cmdlet(VerbsCommon.New, "VmTemplate", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low)]
[OutputType(typeof(VmTemplate), typeof(OperationPlan))]
public sealed class NewVmTemplate : CloningCmdlet
{
    private const string ByName = "Name";
    private const string ByVm = "VmInstance";
    private const string BySnapshot = "VmSnapshot";

    /// <summary>The VM: name or id.</summary>
    [Parameter(ParameterSetName = ByName, Position = 0, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ByVm, DontShow = true)]
    [Parameter(ParameterSetName = BySnapshot, DontShow = true)]
    [Alias("Vm")]
    [ArgumentCompleter(typeof(VmNameCompleter))]
    public string? VmName { get; set; }

    /// <summary>A VM from the pipeline.</summary>
    [Parameter(ParameterSetName = ByVm, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmInstance))]
    public VmInstance? VmInstance { get; set; }

    /// <summary>A VM snapshot from the pipeline.</summary>
    [Parameter(ParameterSetName = BySnapshot, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmSnapshot))]
    public VmSnapshot? VmSnapshot { get; set; }

    /// <summary>The template's name.</summary>
    [Parameter(Position = 1)]
    [Alias("TemplateName")]
    public string? Name { get; set; }

    /// <summary>The snapshot of the VM, by name or id; its present without it.</summary>
    [Parameter(ParameterSetName = ByName)]
    [Parameter(ParameterSetName = ByVm)]
    [ArgumentCompleter(typeof(VmSnapshotNameCompleter))]
    public string? SnapshotName { get; set; }

    /// <summary>Stops at linked clones of the VM's volumes: the template then needs the VM's layers.</summary>
    [Parameter]
    public SwitchParameter Linked { get; set; }

    /// <summary>What the template is for.</summary>
    [Parameter]
    public string? Description { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        string? name = ParameterSetName == ByName ? Name : Piped.SecondOne(VmName is null ? null : [VmName], nameof(VmName), Name);
        string source = VmInstance?.Id.ToString() ?? VmSnapshot?.VmId.ToString() ?? Piped.Required(VmName, "VM", "New-VmTemplate web01 web");
        var engine = Engine;
        Clone($"Making template '{name}'", engine, engine.Templates.Create(new VmCloneRequest
        {
            Source = source,
            Snapshot = VmSnapshot?.Id.ToString() ?? SnapshotName,
            Name = Piped.Required(name, "template", "New-VmTemplate web01 web"),
            Linked = Linked,
            Description = Description,
            Pace = Pace,
        }), made => made.Clones, made => WriteObject(engine.Templates.Get(made.Template.Id.ToString())));
    }
}

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

/// <summary>Removes templates with their volumes.</summary>
[Cmdlet(VerbsCommon.Remove, "VmTemplate", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(VmTemplate), typeof(OperationPlan))]
public sealed class RemoveVmTemplate : LockingCmdlet
{
    /// <summary>The templates: names or ids.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ArgumentCompleter(typeof(TemplateNameCompleter))]
    public string[]? Name { get; set; }

    /// <summary>Makes linked clones independent first, which copies their data.</summary>
    [Parameter]
    public SwitchParameter Flatten { get; set; }

    /// <summary>Removes it in spite of linked clones; what they need goes with the last of them.</summary>
    [Parameter]
    public SwitchParameter Defer { get; set; }

    /// <summary>Writes the templates that were removed.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        foreach (string name in Name!)
            Try(() => Change($"Removing template '{name}'", Engine.Templates.Remove(name, DependantParameters.Of(Flatten, Defer)), removed => { if (PassThru) WriteObject(removed); }), name);
    }
}
