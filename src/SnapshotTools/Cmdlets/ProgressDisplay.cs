using System.Diagnostics;
using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>
/// One progress bar. It appears only when the work has taken a second, is redrawn at most five times a second, and ends
/// <c>Completed</c> if it was ever shown. For the pipeline's thread only.
/// </summary>
internal sealed class ProgressDisplay(string activity, Action<ProgressRecord> write) : IDisposable
{
    private static readonly TimeSpan Delay = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(200);
    private static int _lastId;

    private readonly int _id = Interlocked.Increment(ref _lastId);
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private TimeSpan _next = Delay;
    private bool _shown;

    /// <summary>How long to wait before the next drawing.</summary>
    public TimeSpan UntilNext
    {
        get
        {
            // The clock is read once: between two readings the time may have come, and a wait of less than nothing is an error.
            var left = _next - _clock.Elapsed;
            return left > TimeSpan.Zero ? left : TimeSpan.Zero;
        }
    }

    /// <summary>Draws if it is time to.</summary>
    public void Show(OperationProgress progress)
    {
        if (UntilNext > TimeSpan.Zero) return;
        _next = _clock.Elapsed + Interval;
        _shown = true;
        var record = new ProgressRecord(_id, activity, progress.Activity.Length == 0 ? " " : progress.Activity);
        if (progress.BytesTotal > 0)
        {
            double part = Math.Clamp((double)progress.BytesDone / progress.BytesTotal, 0, 1);
            record.PercentComplete = (int)(part * 100);
            if (part > 0) record.SecondsRemaining = (int)Math.Min(int.MaxValue, _clock.Elapsed.TotalSeconds * (1 - part) / part);
        }
        write(record);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_shown) write(new ProgressRecord(_id, activity, "Completed") { RecordType = ProgressRecordType.Completed });
    }
}
