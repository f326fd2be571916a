using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>Tests a store: the catalog against the files, and every layer by itself. What is not as it should be is written; nothing is changed.</summary>
[Cmdlet(VerbsDiagnostic.Test, "SnapshotStore")]
[OutputType(typeof(StoreFinding), typeof(bool))]
public sealed class TestSnapshotStore : StoreCmdlet
{
    // An operation that does not copy data is over by then.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>The store's directory; $env:SNAPSHOTTOOLS_STORE by default, else SnapshotTools in the user's data folder.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("Path")]
    public override string? Store { get; set; }

    /// <summary>Answers with True or False only: whether there is no warning and no error.</summary>
    [Parameter]
    public SwitchParameter Quiet { get; set; }

    /// <inheritdoc/>
    protected override void ProcessItem()
    {
        var engine = Engine;
        var findings = Await("Testing the store", (reporter, token) =>
            engine.Test(new RunOptions { WaitForLock = Patience, Progress = reporter, Log = reporter.Verbose, Cancellation = token }));
        if (Quiet) WriteObject(findings.All(f => f.Severity == FindingSeverity.Information));
        else WriteObject(findings, enumerateCollection: true);
    }
}
