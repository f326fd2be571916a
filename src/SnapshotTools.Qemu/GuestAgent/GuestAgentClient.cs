using System.Diagnostics;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu.GuestAgent;

/// <summary>
/// Speaks with the QEMU guest agent (QEMU Guest Agent Protocol Reference) over the socket of its channel. What comes
/// back is written by the guest and believed in nothing: answers are bounded in size and time, wrong types are errors.
/// One command runs at a time; after one that was given up the next one synchronizes anew.
/// </summary>
public sealed class GuestAgentClient : IAsyncDisposable
{
    /// <summary>What an answer may have: 4 MiB.</summary>
    public const int MaxAnswerBytes = 4 << 20;

    private const byte Sentinel = 0xff;

    private readonly Socket _socket;
    private readonly JsonStreamSplitter _splitter = new(MaxAnswerBytes);
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly byte[] _buffer = new byte[16 << 10];
    private readonly TimeSpan _timeout;
    private bool _inStep;
    private bool _behindSentinel;

    private GuestAgentClient(Socket socket, TimeSpan timeout) => (_socket, _timeout) = (socket, timeout);

    /// <summary>Connects and waits until the agent answers.</summary>
    /// <param name="endpoint">The host's end of the agent's channel. It serves one client at a time.</param>
    /// <param name="timeout">How long this and each later command may take; 5 s by default.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="QmpDisconnectedException">Nothing listens there.</exception>
    /// <exception cref="GuestAgentTimeoutException">No agent answers.</exception>
    public static async Task<GuestAgentClient> ConnectAsync(QmpEndpoint endpoint, TimeSpan? timeout = null, CancellationToken cancellation = default)
    {
        var patience = timeout ?? TimeSpan.FromSeconds(5);
        var client = new GuestAgentClient(await endpoint.ConnectAsync(patience, cancellation).ConfigureAwait(false), patience);
        try
        {
            await client.PingAsync(cancellation).ConfigureAwait(false);
            return client;
        }
        catch
        {
            await client.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Asks for a sign of life.</summary>
    public Task PingAsync(CancellationToken cancellation = default) => ExecuteAsync("guest-ping", null, null, cancellation);

    /// <summary>Freezes all file systems that the agent can freeze; returns how many.</summary>
    /// <param name="timeout">A busy guest takes long to write out what it holds; 60 s by default.</param>
    /// <param name="cancellation">Gives up waiting; the guest may be frozen then.</param>
    public async Task<long> FreezeAsync(TimeSpan? timeout = null, CancellationToken cancellation = default) =>
        CountOf("guest-fsfreeze-freeze", await ExecuteAsync("guest-fsfreeze-freeze", null, timeout ?? TimeSpan.FromSeconds(60), cancellation).ConfigureAwait(false));

    /// <summary>Thaws all frozen file systems; returns how many were. 0 means that none was frozen any more.</summary>
    public async Task<long> ThawAsync(TimeSpan? timeout = null, CancellationToken cancellation = default) =>
        CountOf("guest-fsfreeze-thaw", await ExecuteAsync("guest-fsfreeze-thaw", null, timeout ?? TimeSpan.FromSeconds(60), cancellation).ConfigureAwait(false));

    /// <summary>Whether the agent holds the file systems frozen.</summary>
    public async Task<bool> IsFrozenAsync(CancellationToken cancellation = default)
    {
        var answer = await ExecuteAsync("guest-fsfreeze-status", null, null, cancellation).ConfigureAwait(false);
        return answer.ValueKind == JsonValueKind.String && answer.ValueEquals("frozen");
    }

    /// <summary>Asks the guest to shut down. There is no answer: the machine ends, or it does not.</summary>
    public async Task ShutdownAsync(CancellationToken cancellation = default)
    {
        await _turn.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            using var limit = LimitOf(_timeout, cancellation);
            await SynchronizeAsync("guest-shutdown", limit.Token, cancellation).ConfigureAwait(false);
            _inStep = false;    // a refusal may come, and is nobody's answer then
            await SendAsync(new QmpRequest("guest-shutdown", new JsonObject { ["mode"] = "powerdown" }, null).ToBytes(), limit.Token).ConfigureAwait(false);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Sends any command and waits for its answer.</summary>
    /// <exception cref="QmpException">The agent refused it.</exception>
    /// <exception cref="GuestAgentTimeoutException">The agent did not answer in time.</exception>
    /// <exception cref="GuestAgentException">The answer is not of the protocol, or the channel was closed.</exception>
    public async Task<JsonElement> ExecuteAsync(string command, JsonObject? arguments, TimeSpan? timeout, CancellationToken cancellation = default)
    {
        await _turn.WaitAsync(cancellation).ConfigureAwait(false);
        var begun = Stopwatch.StartNew();
        try
        {
            using var limit = LimitOf(timeout ?? _timeout, cancellation);
            await SynchronizeAsync(command, limit.Token, cancellation).ConfigureAwait(false);
            var request = new QmpRequest(command, arguments, null);
            _inStep = false;
            await SendAsync(request.ToBytes(), limit.Token).ConfigureAwait(false);
            var answer = await ReceiveAsync(limit.Token).ConfigureAwait(false);
            _inStep = true;
            return answer switch
            {
                QmpReturn good => good.Value,
                QmpFailure bad => throw new QmpException(command, request.Told(), bad.Class, bad.Description),
                _ => throw new GuestAgentException($"The guest agent answered '{command}' with neither a result nor an error."),
            };
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new GuestAgentTimeoutException(command, begun.Elapsed);
        }
        catch (Exception e) when (e is QmpProtocolException or SocketException or ObjectDisposedException)
        {
            throw new GuestAgentException($"The guest agent's channel failed at '{command}': {e.Message}", e);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Closes this side of the channel. What is frozen stays frozen.</summary>
    public ValueTask DisposeAsync()
    {
        _socket.Dispose();
        return ValueTask.CompletedTask;
    }

    private static CancellationTokenSource LimitOf(TimeSpan timeout, CancellationToken cancellation)
    {
        var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(timeout);
        return limit;
    }

    private static long CountOf(string command, JsonElement answer) =>
        answer.ValueKind == JsonValueKind.Number && answer.TryGetInt64(out long count) && count >= 0
            ? count
            : throw new GuestAgentException($"The guest agent answered '{command}' with something that is no count.");

    /// <summary>Throws away what the channel still holds, up to the sentinel before the answer that carries our number.</summary>
    private async Task SynchronizeAsync(string command, CancellationToken limit, CancellationToken cancellation)
    {
        if (_inStep) return;
        long number = RandomNumberGenerator.GetInt32(int.MaxValue);
        var request = new QmpRequest("guest-sync-delimited", new JsonObject { ["id"] = number }, null);
        try
        {
            // The agent's parser, too, drops half a command at the sentinel.
            await SendAsync([Sentinel, .. request.ToBytes()], limit).ConfigureAwait(false);
            _behindSentinel = false;
            while (!TakeUntilAnswered(await ReadSomeAsync(limit).ConfigureAwait(false), number)) { }
            _inStep = true;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new GuestAgentTimeoutException(command, _timeout);
        }
    }

    private bool TakeUntilAnswered(ReadOnlySpan<byte> bytes, long number)
    {
        while (true)
        {
            int end = bytes.IndexOf(Sentinel);
            if (_behindSentinel && IsAnswered(end < 0 ? bytes : bytes[..end], number)) return true;
            if (end < 0) return false;
            _splitter.Reset();
            _behindSentinel = true;
            bytes = bytes[(end + 1)..];
        }
    }

    private bool IsAnswered(ReadOnlySpan<byte> bytes, long number)
    {
        try
        {
            _splitter.Append(bytes);
            while (TryRead() is { } message)
            {
                if (message is QmpReturn { Value.ValueKind: JsonValueKind.Number } answer
                    && answer.Value.TryGetInt64(out long got) && got == number) return true;
            }
        }
        catch (QmpProtocolException)
        {
            _behindSentinel = false;    // the rest of an older conversation: the next sentinel decides
        }
        return false;
    }

    private async Task<QmpMessage> ReceiveAsync(CancellationToken limit)
    {
        while (true)
        {
            if (TryRead() is { } message) return message;
            _splitter.Append(await ReadSomeAsync(limit).ConfigureAwait(false));
        }
    }

    private QmpMessage? TryRead() => _splitter.TryRead(out var json) ? QmpMessage.Parse(json) : null;

    private async Task<byte[]> ReadSomeAsync(CancellationToken limit)
    {
        int count = await _socket.ReceiveAsync(_buffer, limit).ConfigureAwait(false);
        return count > 0 ? _buffer[..count] : throw new GuestAgentException("The guest agent's channel was closed.");
    }

    private async Task SendAsync(byte[] message, CancellationToken limit)
    {
        for (int sent = 0; sent < message.Length;)
            sent += await _socket.SendAsync(message.AsMemory(sent), limit).ConfigureAwait(false);
    }
}
