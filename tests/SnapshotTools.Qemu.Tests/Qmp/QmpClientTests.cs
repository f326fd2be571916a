using System.Net.Sockets;
using System.Text.Json.Nodes;
using SnapshotTools.Qemu.Qmp;
using Xunit;

namespace SnapshotTools.Qemu.Tests.Qmp;

public sealed class QmpClientTests : IDisposable
{
    private readonly ScriptedServer _server = new();

    public void Dispose() => _server.Dispose();

    [Fact]
    public async Task Answers_find_their_requests_in_any_order_and_unknown_ids_are_dropped()
    {
        await using var client = await _server.GreetAsync();
        var first = client.ExecuteAsync("one");
        var (_, id1) = await _server.HearAsync();
        var second = client.ExecuteAsync("two");
        var (_, id2) = await _server.HearAsync();
        Assert.NotEqual(id1, id2);
        await _server.SayAsync($$"""
            {"return": "nobody's", "id": "st-999"}{"return": "no id"}{"error": {"class": "X", "desc": "nobody's"}, "id": "zz"}
            {"return": 2, "id": "{{id2}}"}{"return": 22, "id": "{{id2}}"}{"return": 1, "id": "{{id1}}"}
            """);
        Assert.Equal(1, (await first).GetInt32());
        Assert.Equal(2, (await second).GetInt32());
    }

    [Fact]
    public async Task An_error_carries_what_was_sent_and_what_came_back_but_no_secret()
    {
        await using var client = await _server.GreetAsync();
        var call = client.ExecuteAsync("object-add", new JsonObject { ["qom-type"] = "secret", ["id"] = "s0", ["data"] = "hunter2" });
        var (json, id) = await _server.HearAsync();
        Assert.Contains("hunter2", json, StringComparison.Ordinal);
        await _server.SayAsync($$$"""{"error": {"class": "GenericError", "desc": "no room"}, "id": "{{{id}}}"}""");
        var error = await Assert.ThrowsAsync<QmpException>(() => call);
        Assert.Equal("object-add", error.Command);
        Assert.Equal("no room", error.Description);
        Assert.Contains("\"id\":\"s0\"", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter2", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Disconnect_fails_every_waiter_and_every_later_call()
    {
        await using var client = await _server.GreetAsync();
        using var watch = client.Watch("STOP");
        var calls = Enumerable.Range(0, 8).Select(i => client.ExecuteAsync($"c{i}")).ToArray();
        var waiting = watch.NextAsync();
        for (int i = 0; i < calls.Length; i++) await _server.HearAsync();
        _server.Close();
        foreach (var call in calls) await Assert.ThrowsAsync<QmpDisconnectedException>(() => call);
        await Assert.ThrowsAsync<QmpDisconnectedException>(() => waiting);
        await Assert.ThrowsAsync<QmpDisconnectedException>(() => client.ExecuteAsync("later"));
        using var late = client.Watch();
        await Assert.ThrowsAsync<QmpDisconnectedException>(() => late.NextAsync());
        await client.Completion;
    }

    [Fact]
    public async Task Nonsense_from_the_other_side_ends_the_connection_with_its_reason()
    {
        await using var client = await _server.GreetAsync();
        var call = client.ExecuteAsync("query-status");
        await _server.HearAsync();
        await _server.SayAsync("HTTP/1.1 400 Bad Request\r\n");
        var error = await Assert.ThrowsAsync<QmpDisconnectedException>(() => call);
        Assert.Contains("does not speak QMP", error.Message, StringComparison.Ordinal);
        Assert.Contains("query-status", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cancelled_call_stops_waiting_and_the_connection_lives_on()
    {
        await using var client = await _server.GreetAsync();
        using var cancel = new CancellationTokenSource();
        var call = client.ExecuteAsync("slow", null, cancel.Token);
        var (_, id) = await _server.HearAsync();
        cancel.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        await _server.SayAsync($$$"""{"return": "late", "id": "{{{id}}}"}""");
        var next = client.ExecuteAsync("next");
        (_, id) = await _server.HearAsync();
        await _server.SayAsync($$$"""{"return": "in time", "id": "{{{id}}}"}""");
        Assert.Equal("in time", (await next).GetString());
    }

    [Fact]
    public async Task A_command_that_is_never_answered_ends_with_an_error_and_ends_the_connection()
    {
        await using var client = await _server.GreetAsync();
        var waiting = client.ExecuteAsync("waits");
        client.CommandTimeout = TimeSpan.FromMilliseconds(200);
        var error = await Assert.ThrowsAsync<QmpTimeoutException>(() => client.ExecuteAsync("stop"));
        Assert.Contains("did not answer 'stop'", error.Message, StringComparison.Ordinal);
        await Assert.ThrowsAnyAsync<QmpDisconnectedException>(() => waiting);
        await Assert.ThrowsAnyAsync<QmpDisconnectedException>(() => client.ExecuteAsync("later"));
        await client.Completion.WaitAsync(TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task One_that_greets_and_then_stands_still_is_given_up_as_soon()
    {
        var connecting = QmpClient.ConnectAsync(_server.Endpoint, TimeSpan.FromSeconds(1));
        await _server.AcceptAsync();
        await _server.SayAsync(ScriptedServer.Greeting);
        await Assert.ThrowsAsync<QmpTimeoutException>(() => connecting.WaitAsync(TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public async Task A_watch_sees_the_events_of_its_names_from_its_beginning_on()
    {
        await using var client = await _server.GreetAsync();
        using var watch = client.Watch("STOP", "RESUME");
        using var other = client.Watch("RESUME");
        await _server.SayAsync(Event("STOP", 1) + Event("BLOCK_JOB_READY", 2) + Event("RESUME", 3) + Event("STOP", 4));
        Assert.Equal(1, (await watch.NextAsync()).Time.ToUnixTimeSeconds());
        Assert.Equal(4, (await watch.NextAsync(e => e.Name == "STOP")).Time.ToUnixTimeSeconds());
        Assert.Equal(3, (await other.NextAsync()).Time.ToUnixTimeSeconds());
        Assert.Null(watch.TakeNext());
    }

    [Fact]
    public async Task A_monitor_that_another_client_holds_is_busy()
    {
        await using var holder = await _server.GreetAsync();
        var busy = await Assert.ThrowsAsync<QmpBusyException>(() => QmpClient.ConnectAsync(_server.Endpoint, TimeSpan.FromMilliseconds(50)));
        Assert.Contains("Another client holds it: ", busy.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_monitor_that_nobody_holds_and_that_does_not_greet_is_silent()
    {
        var silent = await Assert.ThrowsAsync<QmpTimeoutException>(() => QmpClient.ConnectAsync(_server.Endpoint, TimeSpan.FromMilliseconds(50)));
        Assert.Contains("no other client holds its monitor", silent.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_monitor_at_which_too_many_wait_is_there_all_the_same(bool isHeld)
    {
        await using var holder = isHeld ? await _server.GreetAsync() : null;
        var waiting = new List<Socket>();
        try
        {
            while (true)
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false };
                waiting.Add(socket);
                socket.Connect(new UnixDomainSocketEndPoint(_server.Endpoint.Path!));
            }
        }
        catch (SocketException full) when (full.SocketErrorCode == SocketError.WouldBlock)
        {
            Assert.True(waiting.Count is > 1 and < 10);
        }
        var connecting = QmpClient.ConnectAsync(_server.Endpoint, TimeSpan.FromMilliseconds(200));
        if (isHeld) await Assert.ThrowsAsync<QmpBusyException>(() => connecting);
        else await Assert.ThrowsAsync<QmpTimeoutException>(() => connecting);
        foreach (var socket in waiting) socket.Dispose();
    }

    [Fact]
    public async Task Something_else_behind_the_socket_is_told_so()
    {
        var connecting = QmpClient.ConnectAsync(_server.Endpoint);
        await _server.AcceptAsync();
        await _server.SayAsync("SSH-2.0-OpenSSH\r\n");
        await Assert.ThrowsAsync<QmpProtocolException>(() => connecting);
    }

    [Fact]
    public async Task Nothing_behind_the_address_is_told_so()
    {
        var gone = QmpEndpoint.Unix(_server.Endpoint.Path + ".none");
        await Assert.ThrowsAsync<QmpDisconnectedException>(() => QmpClient.ConnectAsync(gone));
        await Assert.ThrowsAsync<QmpDisconnectedException>(() => QmpClient.ConnectAsync(QmpEndpoint.Tcp("127.0.0.1", 1)));
    }

    [Theory]
    [InlineData("unix:/run/x", "unix:/run/x")]
    [InlineData("/run/x", "unix:/run/x")]
    [InlineData("tcp:localhost:4444", "tcp:localhost:4444")]
    [InlineData("tcp:[::1]:4444", "tcp:::1:4444")]
    public void Addresses_are_read_as_qemu_writes_them(string text, string told) =>
        Assert.Equal(told, QmpEndpoint.Parse(text).ToString());

    [Theory]
    [InlineData("tcp:host")]
    [InlineData("tcp::1")]
    [InlineData("tcp:host:99999")]
    [InlineData("relative")]
    [InlineData("")]
    public void Other_addresses_are_refused(string text) => Assert.Throws<FormatException>(() => QmpEndpoint.Parse(text));

    private static string Event(string name, int seconds) =>
        $$$"""{"event": "{{{name}}}", "timestamp": {"seconds": {{{seconds}}}, "microseconds": 0}}""";
}
