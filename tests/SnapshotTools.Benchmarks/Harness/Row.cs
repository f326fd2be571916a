namespace SnapshotTools.Benchmarks.Harness;

/// <summary>A row of the table: some work, done in turn by us and by the peers on the same files.</summary>
/// <param name="Id">Its name for -Filter, such as <c>snapshot/4-disks</c>.</param>
/// <param name="Work">The work, in words.</param>
/// <param name="Run">Makes ready what it needs, measures, and says the goals.</param>
internal sealed record Row(string Id, string Work, Action<RowRun> Run)
{
    /// <summary>Whether it takes part in the quick scale; the others need sizes that are not quick.</summary>
    public bool IsQuick { get; init; } = true;
}

/// <summary>What this machine has not got for a row or a contender.</summary>
internal sealed class NotHereException(string reason) : Exception(reason);
