using System.Text.Json.Nodes;
using SnapshotTools.Qemu.GuestAgent;
using SnapshotTools.Qemu.Qmp;
using SnapshotTools.Qemu.Tests.Qmp;
using Xunit;

namespace SnapshotTools.Qemu.Tests.GuestAgent;

public sealed class GuestAgentClientTests : IDisposable
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(200);
    private readonly ScriptedServer _server = new();

    public void Dispose() => _server.Dispose();

    [Fact]
    public async Task The_handshake_skips_what_an_older_conversation_left()
    {
        var connecting = GuestAgentClient.ConnectAsync(_server.Endpoint);
        await _server.AcceptAsync();
        long number = NumberOf((await _server.HearAsync()).Json);
        await _server.SayAsync("{\"return\": 17}\n{\"ret");
        await _server.SayAsync($"urn\u00fe {{\"return\": {number}}}\n\u00ff{{\"return\": {number + 1}}}\n{{garbage\n\u00ff");
        await _server.SayAsync($"{{\"return\": {number}}}\n");
        Assert.Contains("guest-ping", (await _server.HearAsync()).Json, StringComparison.Ordinal);
        await _server.SayAsync("{\"return\": {}}\n");
        await using var agent = await connecting;

        var frozen = agent.IsFrozenAsync();
        await _server.HearAsync();
        await _server.SayAsync("{\"return\": \"frozen\"}\n");
        Assert.True(await frozen);
    }

    [Fact]
    public async Task Silence_is_an_error_that_says_what_to_check()
    {
        var error = await Assert.ThrowsAsync<GuestAgentTimeoutException>(() => GuestAgentClient.ConnectAsync(_server.Endpoint, Short));
        Assert.Contains("qemu-guest-agent", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task After_a_time_out_the_late_answer_is_not_taken_for_the_next_one()
    {
        await using var agent = await ConnectAsync();
        var freezing = agent.FreezeAsync(Short);
        await _server.HearAsync();
        await Assert.ThrowsAsync<GuestAgentTimeoutException>(() => freezing);

        var thawing = agent.ThawAsync(TimeSpan.FromSeconds(20));
        long number = NumberOf((await _server.HearAsync()).Json);
        await _server.SayAsync("{\"return\": 5}\n");
        await _server.SayAsync($"\u00ff{{\"return\": {number}}}\n");
        Assert.Contains("thaw", (await _server.HearAsync()).Json, StringComparison.Ordinal);
        await _server.SayAsync("{\"return\": 3}\n");
        Assert.Equal(3, await thawing);
    }

    [Fact]
    public async Task A_refusal_carries_the_agents_words()
    {
        await using var agent = await ConnectAsync();
        var call = agent.FreezeAsync();
        await _server.HearAsync();
        await _server.SayAsync("{\"error\": {\"class\": \"GenericError\", \"desc\": \"hook failed\"}}\n");
        Assert.Equal("hook failed", (await Assert.ThrowsAsync<QmpException>(() => call)).Description);
    }

    [Theory]
    [InlineData("{\"return\": -1}\n")]
    [InlineData("{\"return\": \"many\"}\n")]
    [InlineData("{\"return\": 1e300}\n")]
    [InlineData("{\"event\": \"STOP\"}\n")]
    [InlineData("{\"QMP\": {\"version\": {\"qemu\": {\"major\": -1}}}}\n")]
    [InlineData("{\"return\": ]\n")]
    [InlineData("hello\n")]
    public async Task A_guest_that_lies_is_not_believed(string answer)
    {
        await using var agent = await ConnectAsync();
        var call = agent.FreezeAsync();
        await _server.HearAsync();
        await _server.SayAsync(answer);
        await Assert.ThrowsAsync<GuestAgentException>(() => call);
    }

    [Fact]
    public async Task An_answer_without_end_is_cut_off()
    {
        await using var agent = await ConnectAsync();
        var call = agent.ExecuteAsync("guest-info", new JsonObject(), TimeSpan.FromSeconds(60));
        await _server.HearAsync();
        await _server.SayAsync("{\"return\": \"");
        byte[] endless = new byte[1 << 20];
        Array.Fill(endless, (byte)'a');
        var talking = Task.Run(async () =>
        {
            for (int i = 0; i < 6; i++) await _server.SayAsync(endless);
        });
        await Assert.ThrowsAsync<GuestAgentException>(() => call);
        await agent.DisposeAsync();
        await Record.ExceptionAsync(() => talking);
    }

    [Fact]
    public async Task A_closed_channel_is_an_error()
    {
        await using var agent = await ConnectAsync();
        var call = agent.PingAsync();
        await _server.HearAsync();
        _server.Close();
        await Assert.ThrowsAsync<GuestAgentException>(() => call);
    }

    private async Task<GuestAgentClient> ConnectAsync()
    {
        var connecting = GuestAgentClient.ConnectAsync(_server.Endpoint);
        await _server.AcceptAsync();
        long number = NumberOf((await _server.HearAsync()).Json);
        await _server.SayAsync($"\u00ff{{\"return\": {number}}}\n");
        await _server.HearAsync();
        await _server.SayAsync("{\"return\": {}}\n");
        return await connecting;
    }

    private static long NumberOf(string sync) => JsonNode.Parse(sync)!["arguments"]!["id"]!.GetValue<long>();
}
