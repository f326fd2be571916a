using System.Diagnostics;
using System.Management.Automation;
using SnapshotTools.Arguments;
using SnapshotTools.Completion;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Waits until VMs are in a state.</summary>
[Cmdlet(VerbsLifecycle.Wait, "VmInstance", DefaultParameterSetName = ByName)]
[OutputType(typeof(VmInstance))]
public sealed class WaitVmInstance : StoreCmdlet
{
    private const string ByName = "Name";
    private const string ByVm = "VmInstance";
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(200);

    private readonly Stopwatch _clock = Stopwatch.StartNew();

    /// <summary>The VMs: names, with wildcards, or ids.</summary>
    [Parameter(ParameterSetName = ByName, Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("VmName")]
    [SupportsWildcards]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(VmNameCompleter))]
    public string[]? Name { get; set; }

    /// <summary>VMs from the pipeline.</summary>
    [Parameter(ParameterSetName = ByVm, Mandatory = true, ValueFromPipeline = true)]
    [Record(typeof(VmInstance))]
    public VmInstance? VmInstance { get; set; }

    /// <summary>The states that are waited for; Stopped by default.</summary>
    [Parameter(Position = 1)]
    [ValidateNotNullOrEmpty]
    public VmState[] State { get; set; } = [VmState.Stopped];

    /// <summary>How many seconds to wait at most, for all VMs together; without end by default.</summary>
    [Parameter]
    [Alias("Timeout")]
    [ValidateRange(0, int.MaxValue)]
    public int TimeoutSec { get; set; }

    /// <summary>Writes the VMs as they are then.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        if (ParameterSetName == ByVm) Wait(VmInstance!.Id.ToString());
        else foreach (string given in Name!) Try(() => { foreach (var (id, name) in Named.Vms(Engine, given)) Try(() => Wait(id), name); }, given);
    }

    private void Wait(string vm)
    {
        var engine = Engine;
        bool isLimited = MyInvocation.BoundParameters.ContainsKey(nameof(TimeoutSec));
        var found = Await($"Waiting for '{engine.Machines.Get(vm).Name}' to be {string.Join(" or ", State)}", (_, cancellation) =>
        {
            while (true)
            {
                var present = engine.Machines.Get(vm);
                if (State.Contains(present.State) || (isLimited && _clock.Elapsed.TotalSeconds >= TimeoutSec)) return present;
                cancellation.WaitHandle.WaitOne(Interval);
                cancellation.ThrowIfCancellationRequested();
            }
        });
        if (!State.Contains(found.State))
            throw new SnapshotException(ErrorIds.WaitTimedOut, ErrorKind.Busy, $"After {TimeoutSec} s VM '{found.Name}' is {found.State}, not {string.Join(" or ", State)}. Wait longer with -TimeoutSec, or see what it does: Get-VmInstance {found.Name}", found.Name);
        if (PassThru) WriteObject(found);
    }
}
