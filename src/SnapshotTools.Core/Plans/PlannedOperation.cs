namespace SnapshotTools.Core;

/// <summary>An operation that was planned and can be run, once.</summary>
/// <typeparam name="TResult">What the run gives back.</typeparam>
public sealed class PlannedOperation<TResult>
{
    private readonly Func<OperationPlan, RunOptions, TResult> _run;
    private int _started;

    internal PlannedOperation(OperationPlan plan, Func<OperationPlan, RunOptions, TResult> run)
    {
        Plan = plan;
        _run = run;
    }

    /// <summary>What the run will do.</summary>
    public OperationPlan Plan { get; }

    /// <summary>Runs the plan.</summary>
    /// <exception cref="SnapshotException">A rule forbids it, the state changed since it was planned
    /// (<see cref="ErrorIds.PlanOutdated"/>), or it failed.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled; what it had begun is as before or can be resumed.</exception>
    public TResult Run(RunOptions? options = null)
    {
        if (Interlocked.Exchange(ref _started, 1) == 1)
            throw new SnapshotException(ErrorIds.PlanAlreadyRun, ErrorKind.Conflict, $"The plan for '{Plan.Target}' was run already. Make a new one.", Plan.Target);
        return _run(Plan, options ?? RunOptions.Default);
    }
}

/// <summary>Makes planned operations for what has no command in the engine, such as making a store.</summary>
public static class PlannedOperation
{
    /// <summary>A plan and what runs it.</summary>
    public static PlannedOperation<TResult> Of<TResult>(OperationPlan plan, Func<TResult> run) => new(plan, (_, _) => run());

    /// <inheritdoc cref="Of{TResult}(OperationPlan, Func{TResult})"/>
    public static PlannedOperation<TResult> Of<TResult>(OperationPlan plan, Func<RunOptions, TResult> run) => new(plan, (_, options) => run(options));
}

/// <summary>How an operation runs.</summary>
public sealed record RunOptions
{
    /// <summary>Fails at once when something else is at it, reports nothing.</summary>
    public static RunOptions Default { get; } = new();

    /// <summary>How long to wait for other operations on the same VM or volumes to end; zero fails at once.</summary>
    public TimeSpan WaitForLock { get; init; }

    /// <summary>Is told of progress, from any thread.</summary>
    public IProgress<OperationProgress>? Progress { get; init; }

    /// <summary>Is told what happens, line by line, from any thread: the time line of the operation.</summary>
    public Action<string>? Log { get; init; }

    /// <summary>Is told what its user should know although the operation succeeds, from any thread.</summary>
    public Action<string>? Warn { get; init; }

    /// <summary>How many bytes a second a merge under a running guest may copy; 0 is as many as it can.</summary>
    public long BytesPerSecond { get; init; }

    /// <summary>Is called right before the instant of a snapshot, when all is ready for it; what it throws gives the snapshot up.</summary>
    public Action? BeforePoint { get; init; }

    /// <summary>Is called right after that instant whenever <see cref="BeforePoint"/> was, whatever came of it or of the snapshot. It must not throw.</summary>
    public Action? AfterPoint { get; init; }

    /// <summary>Stops the operation at the next safe point.</summary>
    public CancellationToken Cancellation { get; init; }
}

/// <summary>How far an operation is.</summary>
/// <param name="Activity">What it is doing, for a person.</param>
/// <param name="BytesDone">Bytes moved.</param>
/// <param name="BytesTotal">Bytes to move in all; 0 when not known.</param>
public sealed record OperationProgress(string Activity, long BytesDone, long BytesTotal);
