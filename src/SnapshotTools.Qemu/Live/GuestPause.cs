using System.Diagnostics;

namespace SnapshotTools.Qemu.Live;

/// <summary>How long a guest has stood still, and whether that is too long.</summary>
/// <param name="limit">The longest allowed; null when nobody said.</param>
/// <param name="isLimited">Whether the guest is to go on at all.</param>
internal sealed class GuestPause(TimeSpan? limit, bool isLimited)
{
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(1);    // then something is wrong

    private long _begun;
    private long? _ended;

    /// <summary>The longest allowed; null when nobody said.</summary>
    public TimeSpan? Limit => limit;

    /// <summary>Until now, or until it ended.</summary>
    public TimeSpan Elapsed => Stopwatch.GetElapsedTime(_begun, _ended ?? Stopwatch.GetTimestamp());

    /// <summary>The guest stands, or soon will.</summary>
    public void Begin() => Begin(Stopwatch.GetTimestamp());

    /// <summary>The guest stands since that time stamp, as QEMU's word for it came in.</summary>
    public void Begin(long at) => _begun = at;

    /// <summary>The guest runs again since that time stamp, as QEMU's word for it came in.</summary>
    public void End(long at) => _ended = at;

    /// <summary>Gives up when it is too long.</summary>
    /// <exception cref="PauseTooLongException">It is.</exception>
    public void Check()
    {
        var reached = Elapsed;
        var most = limit ?? Longest;
        if (isLimited && reached > most) throw new PauseTooLongException(most, reached);
    }
}
