using System.Diagnostics;
using System.Runtime.ExceptionServices;
using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>Does steps on several threads: they are begun in order, and it is known up to where all are done.</summary>
/// <param name="steps">The steps, in the order of their guest offsets; taken by one thread at a time.</param>
/// <param name="work">Does one step with the buffer of its thread.</param>
/// <param name="bufferBytes">How large that buffer is.</param>
/// <param name="options">Parallelism and checkpoints.</param>
/// <param name="makeDurable">Makes what was done durable.</param>
internal sealed class ParallelSteps(IEnumerable<CopyStep> steps, Action<CopyStep, BulkBuffer> work, int bufferBytes, CopyOptions options, Action makeDurable)
{
    // More than a small machine has processors: some of them wait for the disk.
    private const int Workers = 4;
    private static readonly TimeSpan ReportEvery = TimeSpan.FromMilliseconds(50);

    private readonly Lock _lock = new();
    private readonly IEnumerator<CopyStep> _next = steps.GetEnumerator();
    private readonly SortedSet<long> _running = [];
    private readonly Stopwatch _sinceReport = Stopwatch.StartNew();
    private IProgress<CopyProgress>? _progress;
    private CancellationToken _cancellation;
    private ExceptionDispatchInfo? _failure;
    private long _begunTo = options.Start;
    private long _doneBytes;
    private long _totalBytes;
    private long _checkpointBytes;
    private long _durableTo = options.Start;

    /// <summary>Runs to the end. After a failure or a cancellation no step is running any more.</summary>
    public void Run(IProgress<CopyProgress>? progress, long totalBytes, CancellationToken cancellation)
    {
        (_progress, _totalBytes, _cancellation) = (progress, totalBytes, cancellation);
        int workers = options.Parallelism > 0 ? options.Parallelism : Workers;
        using (_next)
        {
            Thread[] others = [.. Enumerable.Range(1, workers - 1).Select(_ => new Thread(Work) { IsBackground = true, Name = "copy" })];
            foreach (Thread thread in others) thread.Start();
            Work();
            foreach (Thread thread in others) thread.Join();
        }
        _failure?.Throw();
        makeDurable();
        // What was copied along with its neighbors needed no step of its own.
        _doneBytes = Math.Max(_doneBytes, totalBytes);
        Report(_begunTo);
    }

    private void Work()
    {
        try
        {
            using BulkBuffer buffer = new(bufferBytes);
            while (Take() is { } step)
            {
                work(step, buffer);
                Finish(step);
            }
        }
        catch (Exception e)
        {
            lock (_lock) _failure ??= ExceptionDispatchInfo.Capture(e);
        }
    }

    private CopyStep? Take()
    {
        lock (_lock)
        {
            if (_failure is not null) return null;
            _cancellation.ThrowIfCancellationRequested();
            if (!_next.MoveNext()) return null;
            CopyStep step = _next.Current;
            _running.Add(step.Offset);
            _begunTo = step.End;
            return step;
        }
    }

    private void Finish(CopyStep step)
    {
        lock (_lock)
        {
            _running.Remove(step.Offset);
            _doneBytes += step.Count;
            _checkpointBytes += step.Count;
            long doneTo = _running.Count > 0 ? _running.Min : _begunTo;
            bool checkpoint = options.CheckpointBytes > 0 && _checkpointBytes >= options.CheckpointBytes;
            if (checkpoint)
            {
                // Steps that end meanwhile wait at the lock: they are not counted as durable.
                makeDurable();
                (_checkpointBytes, _durableTo) = (0, doneTo);
            }
            if (checkpoint || _sinceReport.Elapsed >= ReportEvery) Report(options.CheckpointBytes > 0 ? _durableTo : doneTo);
        }
    }

    private void Report(long resumeOffset)
    {
        _progress?.Report(new CopyProgress(_doneBytes, _totalBytes, resumeOffset));
        _sinceReport.Restart();
    }
}
