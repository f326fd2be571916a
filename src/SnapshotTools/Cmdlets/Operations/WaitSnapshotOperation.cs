using System.Management.Automation;
using SnapshotTools.Core;
using SnapshotTools.Module;

namespace SnapshotTools.Cmdlets;

/// <summary>Waits until operations have ended, whichever process works on them.</summary>
[Cmdlet(VerbsLifecycle.Wait, "SnapshotOperation")]
[OutputType(typeof(SnapshotOperation))]
public sealed class WaitSnapshotOperation : StoreCmdlet
{
    private readonly List<(SnapshotEngine Engine, Guid Id)> _awaited = [];

    /// <summary>The operations' ids, or those of volumes that are being copied; all that have not ended by default.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    public Guid[]? Id { get; set; }

    /// <summary>How many seconds to wait at most, for all together.</summary>
    [Parameter]
    [ValidateRange(0, int.MaxValue)]
    public int TimeoutSec { get; set; } = int.MaxValue;

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        if (Id is null) _awaited.AddRange(Engine.Operations.Find().Where(o => o.State is OperationState.Pending or OperationState.Running).Select(o => (Engine, o.Id)));
        else foreach (var id in Id) Try(() => _awaited.AddRange(Engine.Operations.Resolve(id).Select(o => (Engine, o.Id))), id);
    }

    /// <inheritdoc/>
    protected override void Finish()
    {
        var clock = System.Diagnostics.Stopwatch.StartNew();
        foreach (var (engine, id) in _awaited) Try(() => Wait(engine, id, TimeSpan.FromSeconds(TimeoutSec) - clock.Elapsed), id);
    }

    private void Wait(SnapshotEngine engine, Guid id, TimeSpan patience)
    {
        var now = engine.Operations.Get(id);
        if (now is { State: OperationState.Pending, Kind: OperationKind.Copy }) WorkerProcess.Ensure(this, engine);
        var ended = Await($"Waiting for {now}", (reporter, token) => engine.Operations.Wait(id, patience, new RunOptions { Progress = reporter, Cancellation = token }));
        WriteObject(ended);
        if (ended.State == OperationState.Failed)
            throw new SnapshotException(ErrorIds.OperationFailed, ErrorKind.Failed, $"Operation '{ended}' failed: {ended.Error}", ended);
        if (ended.State is OperationState.Paused or OperationState.Interrupted)
            WriteWarning($"Operation '{ended}' is {ended.State}. Let it go on: Resume-SnapshotOperation {ended.Id}");
    }
}
