using System.Threading.Channels;

namespace SnapshotTools.Qemu.Qmp;

/// <summary>The events of some names from the moment of its making on, in order, none lost. Dispose it to end the watch.</summary>
public sealed class QmpEventWatch : IDisposable
{
    private readonly Channel<QmpEvent> _events = Channel.CreateUnbounded<QmpEvent>();
    private readonly HashSet<string> _names;
    private readonly Action<QmpEventWatch> _end;

    internal QmpEventWatch(IEnumerable<string> names, Action<QmpEventWatch> end)
    {
        _names = [.. names];
        _end = end;
    }

    /// <summary>Waits for the next event that matches; those before it are dropped.</summary>
    /// <exception cref="QmpDisconnectedException">The connection ended first.</exception>
    public async Task<QmpEvent> NextAsync(Func<QmpEvent, bool>? match = null, CancellationToken cancellation = default)
    {
        try
        {
            while (true)
            {
                var happened = await _events.Reader.ReadAsync(cancellation).ConfigureAwait(false);
                if (match is null || match(happened)) return happened;
            }
        }
        catch (ChannelClosedException e)
        {
            throw new QmpDisconnectedException(e.InnerException?.Message ?? "The watch has ended.", e.InnerException);
        }
    }

    /// <summary>The next event that has come in already; null when there is none.</summary>
    public QmpEvent? TakeNext() => _events.Reader.TryRead(out var happened) ? happened : null;

    internal void Offer(QmpEvent happened)
    {
        if (_names.Count == 0 || _names.Contains(happened.Name)) _events.Writer.TryWrite(happened);
    }

    internal void Fail(Exception cause) => _events.Writer.TryComplete(cause);

    /// <inheritdoc/>
    public void Dispose()
    {
        _end(this);
        _events.Writer.TryComplete();
    }
}
