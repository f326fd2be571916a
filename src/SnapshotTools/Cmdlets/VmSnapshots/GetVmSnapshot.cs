using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Lists VM snapshots, or shows them as a tree with the present in its place.</summary>
[Cmdlet(VerbsCommon.Get, "VmSnapshot", DefaultParameterSetName = ByName)]
[OutputType(typeof(VmSnapshot), typeof(SnapshotTreeNode))]
public sealed class GetVmSnapshot : StoreCmdlet
{
    private const string ByName = "Name";
    private const string ByVm = "VmInstance";
    private const string ById = "Id";

    /// <summary>The VMs: names, with wildcards, or ids; all by default.</summary>
    [Parameter(ParameterSetName = ByName, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ByVm, DontShow = true)]
    [Alias("Vm")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(VmNameCompleter))]
    public string[]? VmName { get; set; }

    /// <summary>VMs from the pipeline.</summary>
    [Parameter(ParameterSetName = ByVm, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmInstance))]
    public VmInstance? VmInstance { get; set; }

    /// <summary>The snapshots: names, with wildcards, or ids; all by default.</summary>
    [Parameter(ParameterSetName = ByName, Position = 1, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ByVm, Position = 1)]
    [Alias("SnapshotName")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(VmSnapshotNameCompleter))]
    public string[]? Name { get; set; }

    /// <summary>The snapshots' ids.</summary>
    [Parameter(ParameterSetName = ById, Mandatory = true)]
    public Guid[]? Id { get; set; }

    /// <summary>Only snapshots that have all these tags; wildcards are allowed.</summary>
    [Parameter]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(TagCompleter))]
    public string[]? Tag { get; set; }

    /// <summary>Only snapshots older than this: 14d, 36h, 2w, a TimeSpan, or a date.</summary>
    [Parameter]
    [Age]
    public TimeSpan? OlderThan { get; set; }

    /// <summary>Only snapshots younger than this: 14d, 36h, 2w, a TimeSpan, or a date.</summary>
    [Parameter]
    [Age]
    public TimeSpan? NewerThan { get; set; }

    /// <summary>Only snapshots whose expiry has passed.</summary>
    [Parameter]
    public SwitchParameter Expired { get; set; }

    /// <summary>Only the youngest snapshot of each VM.</summary>
    [Parameter]
    public SwitchParameter Latest { get; set; }

    /// <summary>Shows the tree of each VM: who descends from whom, and where the present is.</summary>
    [Parameter(ParameterSetName = ByName)]
    [Parameter(ParameterSetName = ByVm)]
    public SwitchParameter Tree { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        var (vms, names) = ParameterSetName switch
        {
            ById => ([], [.. Id!.Select(id => id.ToString())]),
            ByVm => ([VmInstance!.Id.ToString()], Piped.Second(VmName, nameof(VmName), Name)),
            _ => (VmName ?? [], Name ?? []),
        };
        var engine = Engine;
        string[] known = [.. vms.Where(vm => Named.IsPattern(vm) || Try(() => engine.Machines.Get(vm), vm))];
        if (known.Length == 0 && vms.Length > 0) return;     // no VM at all would stand for all
        var now = DateTimeOffset.UtcNow;
        var query = new SnapshotQuery
        {
            Vms = known,
            Names = names,
            Tags = Tag ?? [],
            Before = now - OlderThan,
            After = now - NewerThan,
            ExpiredAt = Expired ? now : null,
            Latest = Latest,
        };
        if (!Tree && names.Length == 0)
        {
            WriteObject(engine.Snapshots.Enumerate(query), enumerateCollection: true);
            return;
        }
        var found = engine.Snapshots.Find(query);
        if (Tree) WriteTrees(known, found);
        else WriteObject(found, enumerateCollection: true);
        foreach (string name in names) Try(() => Named.SnapshotMustExist(engine, known, name, found), name);
    }

    private void WriteTrees(string[] vms, IReadOnlyCollection<VmSnapshot> found)
    {
        var shown = found.Select(s => s.Id).ToHashSet();
        var all = Engine.Snapshots.Find(new SnapshotQuery { Vms = vms }).ToLookup(s => s.VmId);
        foreach (var vm in Engine.Machines.Find(vms))
        {
            VmSnapshot[] snapshots = [.. all[vm.Id]];
            if (snapshots.Length == 0 || snapshots.Any(s => shown.Contains(s.Id))) WriteObject(SnapshotTree.Of(vm, snapshots, shown), enumerateCollection: true);
        }
    }
}
