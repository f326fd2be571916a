using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Makes replicas of VMs, of their present or of a snapshot, with clones of their volumes of one instant.</summary>
[Cmdlet(VerbsCommon.Copy, "VmInstance", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low)]
[OutputType(typeof(VmInstance), typeof(OperationPlan))]
public sealed class CopyVmInstance : CloningCmdlet
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

    /// <summary>VMs from the pipeline.</summary>
    [Parameter(ParameterSetName = ByVm, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmInstance))]
    public VmInstance? VmInstance { get; set; }

    /// <summary>VM snapshots from the pipeline.</summary>
    [Parameter(ParameterSetName = BySnapshot, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmSnapshot))]
    public VmSnapshot? VmSnapshot { get; set; }

    /// <summary>The replica's name; of several, with # for the digits of their numbers.</summary>
    [Parameter(Position = 1)]
    [ValidateNotNullOrEmpty]
    public string? Name { get; set; }

    /// <summary>The snapshot of the VM, by name or id; its present without it.</summary>
    [Parameter(ParameterSetName = ByName)]
    [Parameter(ParameterSetName = ByVm)]
    [ArgumentCompleter(typeof(VmSnapshotNameCompleter))]
    public string? SnapshotName { get; set; }

    /// <summary>How many replicas.</summary>
    [Parameter]
    [ValidateRange(1, 1000)]
    public int Count { get; set; } = 1;

    /// <summary>Stops at linked clones of the volumes, which keep their sources' layers as their bases: nothing is copied.</summary>
    [Parameter]
    public SwitchParameter Linked { get; set; }

    /// <summary>Number of virtual processors of the replica.</summary>
    [Parameter]
    public int ProcessorCount { get; set; }

    /// <summary>Memory of the replica in bytes, such as 4GB.</summary>
    [Parameter]
    [Alias("Memory")]
    public long MemoryBytes { get; set; }

    /// <summary>Of a checkpoint: the replica goes on from its memory when it is started.</summary>
    [Parameter]
    public SwitchParameter IncludeMemory { get; set; }

    /// <summary>What the replica is for.</summary>
    [Parameter]
    public string? Description { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        string? name = ParameterSetName == ByName ? Name : Piped.SecondOne(VmName is null ? null : [VmName], nameof(VmName), Name);
        string source = ParameterSetName switch
        {
            ByVm => VmInstance!.Id.ToString(),
            BySnapshot => VmSnapshot!.VmId.ToString(),
            _ => Piped.Required(VmName, "VM", "Copy-VmInstance web01 web02"),
        };
        var engine = Engine;
        Clone($"Copying VM '{VmInstance?.Name ?? VmSnapshot?.VmName ?? VmName}'", engine, engine.Machines.Clone(new VmCloneRequest
        {
            Source = source,
            Snapshot = VmSnapshot?.Id.ToString() ?? SnapshotName,
            Name = name,
            Count = Count,
            Linked = Linked,
            ProcessorCount = MyInvocation.BoundParameters.ContainsKey(nameof(ProcessorCount)) ? ProcessorCount : null,
            MemoryBytes = MyInvocation.BoundParameters.ContainsKey(nameof(MemoryBytes)) ? MemoryBytes : null,
            IncludeMemory = IncludeMemory,
            Description = Description,
            Pace = Pace,
        }), made => made.Clones, made => { foreach (var vm in made.Vms) WriteObject(engine.Machines.Get(vm.Id.ToString())); });
    }
}
