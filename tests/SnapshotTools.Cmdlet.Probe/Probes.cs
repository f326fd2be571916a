using System.Management.Automation;
using SnapshotTools.Cmdlets;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlet.Probe;

/// <summary>Fails for each item as the engine would, after it has written the item.</summary>
[Cmdlet(VerbsDiagnostic.Test, "ProbeError")]
public sealed class TestProbeError : SnapshotCmdlet
{
    /// <summary>The item.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true)]
    public string Name { get; set; } = "";

    /// <summary>The failure; none for an error of the system.</summary>
    [Parameter]
    public ErrorKind? Kind { get; set; }

    /// <summary>Fails before the first item.</summary>
    [Parameter]
    public SwitchParameter AtOnce { get; set; }

    /// <inheritdoc/>
    protected override void Prepare()
    {
        if (AtOnce) Fail();
    }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        WriteObject(Name);
        Fail();
    }

    private void Fail()
    {
        if (Kind is { } kind) throw new SnapshotException("ProbeFailed", kind, $"'{Name}' failed.", Name, recommendedAction: "Try another.");
        throw new UnauthorizedAccessException($"'{Name}' is closed.");
    }
}

/// <summary>Works until it is cancelled, and then writes a file to say that it has ended.</summary>
[Cmdlet(VerbsLifecycle.Wait, "Probe")]
public sealed class WaitProbe : SnapshotCmdlet
{
    /// <summary>The file.</summary>
    [Parameter(Mandatory = true)]
    public string EndFile { get; set; } = "";

    /// <summary>Warns from the work's thread.</summary>
    [Parameter]
    public SwitchParameter Warn { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem() => Await("Waiting", (reporter, token) =>
    {
        reporter.Report(new OperationProgress("counting", 1, 4));
        if (Warn) reporter.Warning("careful");
        token.WaitHandle.WaitOne();
        File.WriteAllText(EndFile, "ended");
        token.ThrowIfCancellationRequested();
    });
}

/// <summary>Reports from the work's thread and returns what it got there.</summary>
[Cmdlet(VerbsLifecycle.Invoke, "Probe")]
public sealed class InvokeProbe : SnapshotCmdlet
{
    /// <inheritdoc/>
    protected override void ProcessItem() => WriteObject(Await("Working", (reporter, token) =>
    {
        for (int i = 0; i < 100; i++) reporter.Verbose($"line {i}");
        return Environment.CurrentManagedThreadId;
    }) != Environment.CurrentManagedThreadId);
}
