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

    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(10);

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

    /// <summary>Connects. A socket whose owner takes no more connections is given up after 10 s.</summary>
    internal async Task<Socket> ConnectAsync(CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(ConnectTimeout);
        var socket = Path is not null
            ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            EndPoint where = Path is not null ? new UnixDomainSocketEndPoint(Path) : new DnsEndPoint(Host, Port);
            await socket.ConnectAsync(where, limit.Token).ConfigureAwait(false);
            return socket;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            socket.Dispose();
            throw NoGreeting(ConnectTimeout);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new QmpDisconnectedException($"Nothing answers at '{this}': {e.Message}.", e);
        }
        catch
        {
            socket.Dispose();
            throw;
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
