using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Makes replicas of VMs, of their present or of a snapshot, with clones of their volumes of one instant.</summary>
[Cmdlet(VerbsCommon.Copy, "VmInstance", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low, DefaultParameterSetName = ByName)]
[OutputType(typeof(VmInstance), typeof(OperationPlan))]
public sealed class CopyVmInstance : ReplicatingCmdlet
{
    /// <summary>The replica's name; of several, with # for the digits of their numbers.</summary>
    [Parameter(Position = 1)]
    [ValidateNotNullOrEmpty]
    public string? Name { get; set; }

    /// <summary>How many replicas.</summary>
    [Parameter]
    [ValidateRange(1, 1000)]
    public int Count { get; set; } = 1;

    /// <summary>Number of virtual processors of the replica.</summary>
    [Parameter]
    public int? ProcessorCount { get; set; }

    /// <summary>Memory of the replica in bytes, such as 4GB.</summary>
    [Parameter]
    [Alias("Memory")]
    public long? MemoryBytes { get; set; }

    /// <summary>Of a checkpoint: the replica goes on from its memory when it is started.</summary>
    [Parameter]
    public SwitchParameter IncludeMemory { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        var engine = Engine;
        Clone($"Copying VM '{VmInstance?.Name ?? VmSnapshot?.VmName ?? VmName}'", engine, engine.Machines.Clone(new VmCloneRequest
        {
            Source = Source("Copy-VmInstance web01 web02"),
            Snapshot = Snapshot,
            Name = SecondName(Name),
            Count = Count,
            Linked = Linked,
            ProcessorCount = ProcessorCount,
            MemoryBytes = MemoryBytes,
            IncludeMemory = IncludeMemory,
            Description = Description,
            Pace = Pace,
        }), made => made.Clones, made => { foreach (var vm in made.Vms) WriteObject(engine.Machines.Get(vm.Id.ToString())); });
    }
}
