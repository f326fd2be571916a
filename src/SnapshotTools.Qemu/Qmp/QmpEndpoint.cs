using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace SnapshotTools.Qemu.Qmp;

/// <summary>Where a QMP monitor or a guest agent listens: a Unix socket or a TCP port.</summary>
public sealed record QmpEndpoint
{
    /// <summary>Bytes of a path that fit into a socket address (<c>sun_path</c>) with its closing zero.</summary>
    public const int MaxSocketPathBytes = 107;

    private static readonly TimeSpan AskAgainAfter = TimeSpan.FromMilliseconds(20);

    private QmpEndpoint(string? path, string host, int port) => (Path, Host, Port) = (path, host, port);

    /// <summary>The Unix socket; null for TCP.</summary>
    public string? Path { get; }

    /// <summary>The host for TCP.</summary>
    public string Host { get; }

    /// <summary>The port for TCP.</summary>
    public int Port { get; }

    /// <summary>A Unix socket.</summary>
    /// <exception cref="ArgumentException">The path is too long for a socket address.</exception>
    public static QmpEndpoint Unix(string path)
    {
        if (Encoding.UTF8.GetByteCount(path) > MaxSocketPathBytes)
            throw new ArgumentException($"The socket path '{path}' is longer than the {MaxSocketPathBytes} bytes that the system allows.", nameof(path));
        return new QmpEndpoint(path, "", 0);
    }

    /// <summary>A TCP port. The connection is neither encrypted nor authenticated: for the same machine or a tunnel.</summary>
    public static QmpEndpoint Tcp(string host, int port) => new(null, host, port);

    /// <summary>Reads what QEMU's <c>-qmp</c> takes: <c>unix:PATH</c>, <c>tcp:HOST:PORT</c>, or a bare path.</summary>
    /// <exception cref="FormatException">It is none of these.</exception>
    public static QmpEndpoint Parse(string text)
    {
        if (text.StartsWith("unix:", StringComparison.Ordinal)) return Unix(text["unix:".Length..]);
        if (!text.StartsWith("tcp:", StringComparison.Ordinal))
        {
            return text.StartsWith('/') ? Unix(text)
                : throw new FormatException($"'{text}' is no QMP address. Give unix:/path/to/socket or tcp:host:port.");
        }
        int colon = text.LastIndexOf(':');
        string host = colon > 4 ? text[4..colon].Trim('[', ']') : "";
        return host.Length > 0 && ushort.TryParse(text[(colon + 1)..], CultureInfo.InvariantCulture, out ushort port)
            ? Tcp(host, port)
            : throw new FormatException($"'{text}' is no TCP address. Give tcp:host:port.");
    }

    /// <summary>Connects. Whoever takes no connection is given up after a while: QEMU serves one client, and of the others one or two can wait.</summary>
    internal async Task<Socket> ConnectAsync(TimeSpan patience, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(patience);
        try
        {
            while (true)
            {
                if (await TryConnectAsync(limit.Token).ConfigureAwait(false) is { } socket) return socket;
                await Task.Delay(AskAgainAfter, limit.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw NoGreeting(patience);
        }
    }

    /// <summary>Connects; null when as many wait already as may (EAGAIN, connect(2)).</summary>
    private async Task<Socket?> TryConnectAsync(CancellationToken cancellation)
    {
        var socket = Path is not null
            ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            EndPoint where = Path is not null ? new UnixDomainSocketEndPoint(Path) : new DnsEndPoint(Host, Port);
            await socket.ConnectAsync(where, cancellation).ConfigureAwait(false);
            return socket;
        }
        catch (Exception error)
        {
            socket.Dispose();
            if (error is not SocketException failure) throw;
            if (failure.SocketErrorCode is SocketError.WouldBlock or SocketError.TryAgain) return null;
            throw new QmpDisconnectedException($"Nothing answers at '{this}': {failure.Message}.", failure);
        }
    }

    /// <summary>What it means that whoever listens here took no connection, or did not greet: QEMU serves one client at a time.</summary>
    internal QmpDisconnectedException NoGreeting(TimeSpan waited)
    {
        bool? isHeld = Path is null ? null : UnixListener.HasClient(Path);
        return isHeld == false ? new QmpTimeoutException(this, waited) : new QmpBusyException(this, waited, isHeld == true);
    }

    /// <inheritdoc/>
    public override string ToString() => Path is not null ? $"unix:{Path}" : $"tcp:{Host}:{Port}";
}
