using System.Text.Json.Nodes;
using SnapshotTools.Qemu.Machines;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu.Tests.Qmp;

/// <summary>A QEMU that the test plays: it answers each command as it is told to.</summary>
internal sealed class ScriptedQemu : IAsyncDisposable
{
    private readonly ScriptedServer _server = new();
    private readonly List<string> _heard = [];
    private readonly Func<ScriptedQemu, string, string?> _answer;
    private Task _talking = Task.CompletedTask;

    private ScriptedQemu(Func<ScriptedQemu, string, string?> answer) => _answer = answer;

    /// <summary>The machine as it is known here.</summary>
    public QemuMachine Machine { get; private set; } = null!;

    /// <summary>The commands that it was given.</summary>
    public IReadOnlyList<string> Heard
    {
        get
        {
            lock (_heard) return [.. _heard];
        }
    }

    /// <summary>What the command came with that is being answered.</summary>
    public JsonNode? Arguments { get; private set; }

    /// <summary>Starts it.</summary>
    /// <param name="answer">What it says to a command, such as <c>"return": {}</c>, which is also what it says when this is null.</param>
    /// <param name="agent">Where its guest's agent is.</param>
    public static async Task<ScriptedQemu> StartAsync(Func<ScriptedQemu, string, string?> answer, QmpEndpoint? agent = null)
    {
        var qemu = new ScriptedQemu(answer);
        var attaching = QemuMachine.AttachAsync(qemu._server.Endpoint, agent);
        await qemu._server.AcceptAsync();
        await qemu._server.SayAsync(ScriptedServer.Greeting);
        qemu._talking = Task.Run(qemu.TalkAsync);
        qemu.Machine = await attaching;
        return qemu;
    }

    /// <summary>Says that something happened, before it answers.</summary>
    public void Tell(string name, string data = "{}") => _server.SayAsync($$"""{"event": "{{name}}", "data": {{data}}}""").GetAwaiter().GetResult();

    public async ValueTask DisposeAsync()
    {
        await Machine.DisposeAsync();
        await _talking;
        _server.Dispose();
    }

    private async Task TalkAsync()
    {
        try
        {
            while (true)
            {
                var (json, id) = await _server.HearAsync();
                var heard = JsonNode.Parse(json)!;
                (string command, Arguments) = (heard["execute"]!.GetValue<string>(), heard["arguments"]);
                lock (_heard) _heard.Add(command);
                string answer = _answer(this, command) ?? "\"return\": {}";
                await _server.SayAsync($$"""{{{answer}}, "id": "{{id}}"}""");
            }
        }
        catch (Exception e) when (e is IOException or System.Net.Sockets.SocketException)
        {
            // The machine was let go of.
        }
    }
}
