using System.Diagnostics;
using System.Net.Sockets;

namespace SnapshotTools.Guest;

/// <summary>
/// Measures by the host's clock for how long the guest did nothing: the guest sends a sign of life every millisecond.
/// (The guest's own clock stands still with it, so the guest cannot tell.)
/// </summary>
public sealed class GuestTicks : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly Lock _lock = new();
    private long _last;
    private long _largest;
    private long _ticks;

    /// <summary>Begins to listen; <c>workload ticks</c> must run in the guest.</summary>
    public GuestTicks(string path)
    {
        // Never asynchronously: from then on each sign of life would wake the library's thread for sockets and one of the thread pool, which then
        // looks for work for a while. Measured: a fifth of a core, all the time.
        _socket.Connect(new UnixDomainSocketEndPoint(path));
        new Thread(Listen) { IsBackground = true, Name = "guest ticks" }.Start();
    }

    /// <summary>The largest gap since the last call, one that has not ended included, and the signs of life since then.</summary>
    public (TimeSpan Gap, long Ticks) Take()
    {
        lock (_lock)
        {
            long now = Stopwatch.GetTimestamp();
            var gap = Stopwatch.GetElapsedTime(0, Math.Max(_largest, _last == 0 ? 0 : now - _last));
            long ticks = _ticks;
            _largest = _ticks = 0;
            return (gap, ticks);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    private void Listen()
    {
        byte[] buffer = new byte[4096];
        try
        {
            while (_socket.Receive(buffer) is > 0 and int count)
            {
                lock (_lock)
                {
                    long now = Stopwatch.GetTimestamp();
                    if (_last != 0) _largest = Math.Max(_largest, now - _last);
                    _last = now;
                    _ticks += count / 8;
                }
            }
        }
        catch (SocketException)
        {
        }
        catch (ObjectDisposedException)
        {
        }
    }
}
