using System.Collections.Concurrent;
using System.Diagnostics;

namespace SnapshotTools.Core.Engine.Clones;

/// <summary>Holds the copies of one call back to their common rate. Shared by all threads of the process that copy for that call.</summary>
internal sealed class CopyThrottle
{
    private static readonly ConcurrentDictionary<(string Store, long Batch), CopyThrottle> Known = new();

    private readonly Lock _lock = new();
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private TimeSpan _free;

    /// <summary>The throttle of a call's copies.</summary>
    public static CopyThrottle Of(string store, long batch) => Known.GetOrAdd((store, batch), _ => new CopyThrottle());

    /// <summary>Counts bytes that were copied; gives how long to stand still for them.</summary>
    public TimeSpan Take(long bytes, long bytesPerSecond)
    {
        lock (_lock)
        {
            var now = _clock.Elapsed;
            if (_free < now) _free = now;   // what was not used before is not made up for
            _free += TimeSpan.FromSeconds((double)bytes / bytesPerSecond);
            return _free - now;
        }
    }
}
