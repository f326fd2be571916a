using System.Text.Json.Nodes;
using SnapshotTools.Core;
using SnapshotTools.IO;
using SnapshotTools.Qemu.Tests.Qmp;
using Xunit;

namespace SnapshotTools.Qemu.Tests.GuestAgent;

/// <summary>Freezing the file systems of a guest whose agent does not do as it should.</summary>
public sealed class FreezeTests : IDisposable
{
    private readonly ScriptedServer _agent = new();

    public void Dispose() => _agent.Dispose();

    [Fact]
    public async Task A_guest_that_freezes_for_too_long_is_thawed_as_soon_as_its_agent_answers()
    {
        await using var qemu = await ScriptedQemu.StartAsync((_, _) => null, _agent.Endpoint);
        var freezing = Task.Run(() => new RunningMachine(qemu.Machine, SystemFiles.Instance).FreezeFileSystems(TimeSpan.FromMilliseconds(200), default));
        await AnswerConnectionAsync();
        Assert.Contains("guest-fsfreeze-freeze", (await _agent.HearAsync()).Json, StringComparison.Ordinal);

        // It answers nobody while it freezes; the snapshot need not wait for it.
        var error = await Assert.ThrowsAsync<SnapshotException>(() => freezing);
        Assert.Equal(ErrorIds.ConsistencyNotAvailable, error.ErrorId);
        Assert.Contains("thawed as soon as the agent answers", error.Message, StringComparison.Ordinal);

        // The session goes on; its guard does not wait for its end.
        await AnswerConnectionAsync();
        await AnswerAsync("guest-fsfreeze-status", "\"frozen\"");
        await AnswerAsync("guest-fsfreeze-thaw", "2");
        await AnswerAsync("guest-fsfreeze-status", "\"thawed\"");
    }

    [Fact]
    public async Task An_agent_that_refuses_is_one_without_whom_a_snapshot_can_do()
    {
        await using var qemu = await ScriptedQemu.StartAsync((_, _) => null, _agent.Endpoint);
        var freezing = Task.Run(() => new RunningMachine(qemu.Machine, SystemFiles.Instance).FreezeFileSystems(TimeSpan.FromSeconds(20), default));
        await AnswerConnectionAsync();
        await _agent.HearAsync();
        await _agent.SayAsync("{\"error\": {\"class\": \"GenericError\", \"desc\": \"hook failed\"}}\n");
        await AnswerAsync("guest-fsfreeze-thaw", "0");
        Assert.Equal(ErrorIds.ConsistencyNotAvailable, (await Assert.ThrowsAsync<SnapshotException>(() => freezing)).ErrorId);
    }

    [Fact]
    public async Task The_agents_channel_is_let_go_of_when_there_is_no_guard()
    {
        await using var qemu = await ScriptedQemu.StartAsync((_, _) => null, _agent.Endpoint);
        using var cancel = new CancellationTokenSource();
        var freezing = Task.Run(() => new RunningMachine(qemu.Machine, SystemFiles.Instance).FreezeFileSystems(TimeSpan.FromSeconds(20), cancel.Token));
        await AnswerConnectionAsync();
        await Task.Delay(100);
        await cancel.CancelAsync();     // the guard takes longer than this to start, mostly
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => freezing);
        await Assert.ThrowsAsync<IOException>(async () =>
        {
            while (true) await _agent.HearAsync();
        });
    }

    /// <summary>Takes the next connection and answers the handshake.</summary>
    private async Task AnswerConnectionAsync()
    {
        await _agent.AcceptAsync();
        long number = JsonNode.Parse((await _agent.HearAsync()).Json)!["arguments"]!["id"]!.GetValue<long>();
        await _agent.SayAsync($"\u00ff{{\"return\": {number}}}\n");
        await AnswerAsync("guest-ping", "{}");
    }

    private async Task AnswerAsync(string command, string answer)
    {
        Assert.Contains(command, (await _agent.HearAsync()).Json, StringComparison.Ordinal);
        await _agent.SayAsync($"{{\"return\": {answer}}}\n");
    }
}
