using System.Net.Sockets;
using System.Text;
using SnapshotTools.Qemu.Qmp;
using SnapshotTools.Testing;

namespace SnapshotTools.Qemu.Tests.Qmp;

/// <summary>The other end of a Unix socket, played by the test: it says what it is told to say, right or wrong.</summary>
internal sealed class ScriptedServer : IDisposable
{
    public const string Greeting =
        "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 0, \"minor\": 2, \"major\": 7}, \"package\": \"\"}, \"capabilities\": []}}\r\n";

    private readonly TempFolder _folder = new();
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly JsonStreamSplitter _splitter = new(1 << 20);
    private readonly byte[] _buffer = new byte[4096];
    private readonly CancellationTokenSource _limit = new(TimeSpan.FromSeconds(60));
    private Socket? _connection;

    public ScriptedServer()
    {
        Endpoint = QmpEndpoint.Unix(_folder.File("s"));
        _listener.Bind(new UnixDomainSocketEndPoint(Endpoint.Path!));
        _listener.Listen(1);
    }

    public QmpEndpoint Endpoint { get; }

    /// <summary>A client whose greeting and capability negotiation are done.</summary>
    public async Task<QmpClient> GreetAsync()
    {
        var connecting = QmpClient.ConnectAsync(Endpoint);
        await AcceptAsync();
        await SayAsync(Greeting);
        var (_, id) = await HearAsync();
        await SayAsync($$$"""{"return": {}, "id": "{{{id}}}"}""");
        return await connecting;
    }

    public async Task AcceptAsync() => _connection = await _listener.AcceptAsync(_limit.Token);

    public Task SayAsync(string text) => SayAsync(Encoding.Latin1.GetBytes(text));

    public async Task SayAsync(byte[] bytes) => await _connection!.SendAsync(bytes);

    /// <summary>The next command: its JSON and its id.</summary>
    public async Task<(string Json, string? Id)> HearAsync()
    {
        while (true)
        {
            if (TryHear() is { } heard) return heard;
            int count = await _connection!.ReceiveAsync(_buffer, _limit.Token);
            if (count == 0) throw new IOException("The client closed the connection.");
            _splitter.Append([.. _buffer.AsSpan(0, count).ToArray().Where(b => b != 0xff)]);
        }
    }

    public void Close() => _connection!.Dispose();

    public void Dispose()
    {
        _connection?.Dispose();
        _listener.Dispose();
        _limit.Dispose();
        _folder.Dispose();
    }

    private (string, string?)? TryHear()
    {
        if (!_splitter.TryRead(out var json)) return null;
        using var document = System.Text.Json.JsonDocument.Parse(json.ToArray());
        return (Encoding.UTF8.GetString(json), document.RootElement.TryGetProperty("id", out var id) ? id.GetString() : null);
    }
}
