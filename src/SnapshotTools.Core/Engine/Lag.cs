namespace SnapshotTools.Core.Engine;

/// <summary>How far something may stay behind while operations follow each other closely: it is due when it was not done for a second.</summary>
internal sealed class Lag
{
    private static readonly TimeSpan Most = TimeSpan.FromSeconds(1);

    private long? _doneAt;

    /// <summary>Whether it is time to do it.</summary>
    public bool IsDue => _doneAt is not { } at || Environment.TickCount64 - at >= Most.TotalMilliseconds;

    /// <summary>Whether it was put off and not done since.</summary>
    public bool IsBehind { get; private set; }

    /// <summary>It was done now.</summary>
    public void Reset() => (_doneAt, IsBehind) = (Environment.TickCount64, false);

    /// <summary>It is put off.</summary>
    public void PutOff() => IsBehind = true;
}
