using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace SnapshotTools.Qemu.Qmp;

/// <summary>
/// A connection to a QMP monitor. Calls may come from several threads; each request has its own id, an answer with an
/// id that nobody waits for is dropped, and the end of the connection fails every waiter.
/// </summary>
public sealed class QmpClient : IAsyncDisposable
{
    private static readonly TimeSpan GreetingTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(60);

    private readonly Socket _socket;
    private readonly QmpParser _parser = new();
    private readonly ConcurrentDictionary<string, Waiter> _waiters = new();
    private readonly SemaphoreSlim _sending = new(1, 1);
    private readonly Lock _watchesLock = new();
    private QmpEventWatch[] _watches = [];
    private Task _receiving = Task.CompletedTask;
    private QmpDisconnectedException? _end;
    private long _lastId;

    private QmpClient(Socket socket, QmpEndpoint endpoint) => (_socket, Endpoint) = (socket, endpoint);

    private sealed record Waiter(QmpRequest Request, TaskCompletionSource<JsonElement> Answer);

    /// <summary>Where the monitor listens.</summary>
    public QmpEndpoint Endpoint { get; }

    /// <summary>How long QEMU may take to answer a command, 60 s by default. A monitor that does not is given up: the connection
    /// is closed, since nobody can say what became of the command.</summary>
    public TimeSpan CommandTimeout { get; set; } = AnswerTimeout;

    /// <summary>What QEMU said of itself.</summary>
    public QmpGreeting Greeting { get; private set; } = null!;

    /// <summary>The process that listens at the other end of a Unix socket (SO_PEERCRED, unix(7)); null where the system does not tell.</summary>
    public int? PeerProcessId
    {
        get
        {
            const int solSocket = 1, soPeerCred = 17;
            if (Endpoint.Path is null || !OperatingSystem.IsLinux()) return null;
            Span<byte> credentials = stackalloc byte[12];   // pid, uid, gid
            return _socket.GetRawSocketOption(solSocket, soPeerCred, credentials) == credentials.Length
                ? BinaryPrimitives.ReadInt32LittleEndian(credentials) : null;
        }
    }

    /// <summary>Ends when the connection has ended, for whatever reason; it never fails.</summary>
    public Task Completion => _receiving;

    /// <summary>Connects, takes the greeting and leaves the capability negotiation.</summary>
    /// <param name="endpoint">Where the monitor listens.</param>
    /// <param name="greetingTimeout">How long to wait for a connection, and then for the greeting, 10 s by default: QEMU sends none while another client is connected. Where it is given,
    /// QEMU must also take the negotiation within it: its main loop may come to stand in between.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="QmpDisconnectedException">Nothing listens there.</exception>
    /// <exception cref="QmpTimeoutException">It does not answer: it hangs.</exception>
    /// <exception cref="QmpBusyException">Another client holds the monitor.</exception>
    /// <exception cref="QmpProtocolException">What listens there is no QMP monitor.</exception>
    public static async Task<QmpClient> ConnectAsync(QmpEndpoint endpoint, TimeSpan? greetingTimeout = null, CancellationToken cancellation = default)
    {
        var socket = await endpoint.ConnectAsync(greetingTimeout ?? GreetingTimeout, cancellation).ConfigureAwait(false);
        var client = new QmpClient(socket, endpoint);
        try
        {
            client.CommandTimeout = greetingTimeout ?? AnswerTimeout;
            await client.GreetAsync(greetingTimeout ?? GreetingTimeout, cancellation).ConfigureAwait(false);
            client._receiving = Task.Run(client.ReceiveAsync, CancellationToken.None);
            await client.ExecuteAsync("qmp_capabilities", cancellation: cancellation).ConfigureAwait(false);
            client.CommandTimeout = AnswerTimeout;
            return client;
        }
        catch
        {
            await client.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Sends a command and waits for its answer. Cancelling stops the waiting, not the command.</summary>
    /// <returns>What the command returns.</returns>
    /// <exception cref="QmpException">QEMU refused it.</exception>
    /// <exception cref="QmpDisconnectedException">The connection ended before the answer.</exception>
    /// <exception cref="QmpTimeoutException">QEMU did not answer within <see cref="CommandTimeout"/>; the connection is closed.</exception>
    public Task<JsonElement> ExecuteAsync(string command, JsonObject? arguments = null, CancellationToken cancellation = default) =>
        SendAsync(new QmpRequest(command, arguments, NextId()), null, cancellation);

    /// <summary>Gives QEMU an open file, pipe or socket under a name that <c>migrate fd:NAME</c> and others understand.
    /// The caller's handle stays its own. Unix sockets on Linux only.</summary>
    /// <exception cref="PlatformNotSupportedException">The connection cannot carry files.</exception>
    public Task PassFileAsync(string name, SafeHandle file, CancellationToken cancellation = default) =>
        Endpoint.Path is null || !OperatingSystem.IsLinux()
            ? throw new PlatformNotSupportedException($"Files cannot be passed over '{Endpoint}': a Unix socket on Linux is needed.")
            : SendAsync(new QmpRequest("getfd", new JsonObject { ["fdname"] = name }, NextId()), file, cancellation);

    /// <summary>Begins to collect the events of some names (all, when none is given). Begin before sending what causes them.</summary>
    public QmpEventWatch Watch(params IEnumerable<string> names)
    {
        var watch = new QmpEventWatch(names, EndWatch);
        lock (_watchesLock)
        {
            if (_end is not null) watch.Fail(_end);
            else _watches = [.. _watches, watch];
        }
        return watch;
    }

    /// <summary>Closes the connection. QEMU goes on.</summary>
    public async ValueTask DisposeAsync()
    {
        _socket.Dispose();
        await _receiving.ConfigureAwait(false);
        End("The connection was closed by this side.", null);
    }

    private string NextId() => string.Create(CultureInfo.InvariantCulture, $"st-{Interlocked.Increment(ref _lastId)}");

    private async Task<JsonElement> SendAsync(QmpRequest request, SafeHandle? file, CancellationToken cancellation)
    {
        var waiter = new Waiter(request, new TaskCompletionSource<JsonElement>(TaskCreationOptions.RunContinuationsAsynchronously));
        _waiters[request.Id!] = waiter;
        try
        {
            if (Volatile.Read(ref _end) is { } end) throw new QmpDisconnectedException($"'{request.Command}' was not sent. {end.Message}", end);
            var limit = CommandTimeout;
            long begun = Stopwatch.GetTimestamp();
            await WriteAsync(request.ToBytes(), file, cancellation).WaitAsync(limit, cancellation).ConfigureAwait(false);
            var left = limit - Stopwatch.GetElapsedTime(begun);
            return await waiter.Answer.Task.WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, cancellation).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            var late = new QmpTimeoutException(Endpoint, request.Command, CommandTimeout);
            End(late.Message, late);
            throw late;
        }
        finally
        {
            _waiters.TryRemove(request.Id!, out _);
        }
    }

    private async Task WriteAsync(byte[] message, SafeHandle? file, CancellationToken cancellation)
    {
        await _sending.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            int sent = file is null ? 0 : FilePassing.Send(_socket, message, file);
            // A message that was begun must be ended: half a command would garble the next one.
            while (sent < message.Length)
                sent += await _socket.SendAsync(message.AsMemory(sent), CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw new QmpDisconnectedException($"The connection to QEMU at '{Endpoint}' ended: {e.Message}", e);
        }
        finally
        {
            _sending.Release();
        }
    }

    private async Task GreetAsync(TimeSpan timeout, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(timeout);
        byte[] buffer = new byte[4096];
        try
        {
            while (true)
            {
                int count = await _socket.ReceiveAsync(buffer, limit.Token).ConfigureAwait(false);
                if (count == 0) throw new QmpDisconnectedException($"QEMU at '{Endpoint}' closed the connection before its greeting.");
                _parser.Append(buffer.AsSpan(0, count));
                if (!_parser.TryRead(out var message)) continue;
                Greeting = message as QmpGreeting ?? throw new QmpProtocolException("a first message that is no greeting");
                return;
            }
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw Endpoint.NoGreeting(timeout);
        }
        catch (SocketException e)
        {
            throw new QmpDisconnectedException($"The connection to QEMU at '{Endpoint}' ended: {e.Message}", e);
        }
    }

    private async Task ReceiveAsync()
    {
        byte[] buffer = new byte[64 << 10];
        try
        {
            while (true)
            {
                while (_parser.TryRead(out var message)) Dispatch(message);
                int count = await _socket.ReceiveAsync(buffer).ConfigureAwait(false);
                if (count == 0) break;
                _parser.Append(buffer.AsSpan(0, count));
            }
            End($"QEMU at '{Endpoint}' closed the connection.", null);
        }
        catch (Exception e)
        {
            // Whatever it was: nobody reads any more, and who waits for an answer is not to wait for ever.
            End(e is ObjectDisposedException ? "The connection was closed by this side." : $"The connection to QEMU at '{Endpoint}' ended: {e.Message}", e);
        }
    }

    private void Dispatch(QmpMessage message)
    {
        switch (message)
        {
            case QmpReturn { Id: { } id } answer when _waiters.TryRemove(id, out var waiter):
                waiter.Answer.TrySetResult(answer.Value);
                break;
            case QmpFailure { Id: { } id } failure when _waiters.TryRemove(id, out var waiter):
                waiter.Answer.TrySetException(new QmpException(waiter.Request.Command, waiter.Request.Told(), failure.Class, failure.Description));
                break;
            case QmpEvent happened:
                happened = happened with { ReceivedAt = Stopwatch.GetTimestamp() };
                foreach (var watch in Volatile.Read(ref _watches)) watch.Offer(happened);
                break;
        }
    }

    private void End(string why, Exception? cause)
    {
        lock (_watchesLock)
        {
            if (_end is not null) return;
            _end = new QmpDisconnectedException(why, cause);
            foreach (var watch in _watches) watch.Fail(_end);
            _watches = [];
        }
        _socket.Dispose();
        foreach (var waiter in _waiters.Values)
        {
            waiter.Answer.TrySetException(new QmpDisconnectedException(
                $"'{waiter.Request.Command}' got no answer. {why}", cause));
        }
    }

    private void EndWatch(QmpEventWatch watch)
    {
        lock (_watchesLock) _watches = [.. _watches.Where(w => w != watch)];
    }
}
