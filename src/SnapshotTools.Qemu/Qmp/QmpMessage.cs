using System.Text.Json;

namespace SnapshotTools.Qemu.Qmp;

/// <summary>A message from QEMU (QEMU Machine Protocol specification, section 2).</summary>
public abstract record QmpMessage
{
    private const int MaxDepth = 256;

    /// <summary>Reads one JSON object.</summary>
    /// <exception cref="QmpProtocolException">It is not JSON, or no message of the protocol.</exception>
    public static QmpMessage Parse(ReadOnlySpan<byte> json)
    {
        try
        {
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = MaxDepth });
            return Interpret(JsonElement.ParseValue(ref reader));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new QmpProtocolException($"a message that is not JSON ({e.Message})", e);
        }
    }

    private static QmpMessage Interpret(JsonElement root)
    {
        if (root.TryGetProperty("return", out var value)) return new QmpReturn(IdOf(root), value);
        if (root.TryGetProperty("error", out var error))
            return new QmpFailure(IdOf(root), error.TextOf("class") ?? "GenericError", error.TextOf("desc") ?? "no description");
        if (root.TextOf("event") is { } name)
            return new QmpEvent(name, root.TryGetProperty("data", out var data) ? data : default, TimeOf(root));
        if (root.TryGetProperty("QMP", out var greeting)) return QmpGreeting.Of(greeting);
        throw new QmpProtocolException("a message that is no greeting, return, error or event");
    }

    private static string? IdOf(JsonElement root) => root.TextOf("id");

    private static DateTimeOffset TimeOf(JsonElement root) =>
        root.TryGetProperty("timestamp", out var t) && t.NumberOf("seconds") is long s and >= 0 and < 253_402_300_800
            ? DateTimeOffset.FromUnixTimeSeconds(s).AddTicks(Math.Clamp(t.NumberOf("microseconds") ?? 0, 0, 999_999) * TimeSpan.TicksPerMicrosecond)
            : DateTimeOffset.UtcNow;
}

/// <summary>The first message of a connection.</summary>
/// <param name="Version">The version of QEMU.</param>
/// <param name="Package">What the distribution calls its package; may be empty.</param>
/// <param name="Capabilities">What the server can be asked to enable, such as <c>oob</c>.</param>
public sealed record QmpGreeting(Version Version, string Package, IReadOnlyList<string> Capabilities) : QmpMessage
{
    internal static QmpGreeting Of(JsonElement greeting)
    {
        if (greeting.MemberOf("version") is not { } version || version.MemberOf("qemu") is not { } qemu)
            throw new QmpProtocolException("a greeting without a version");
        var number = new Version(PartOf(qemu, "major"), PartOf(qemu, "minor"), PartOf(qemu, "micro"));
        string[] capabilities = greeting.MemberOf("capabilities") is { } list
            ? [.. list.ItemsOf().Where(c => c.ValueKind == JsonValueKind.String).Select(c => c.GetString()!)]
            : [];
        return new QmpGreeting(number, version.TextOf("package") ?? "", capabilities);
    }

    private static int PartOf(JsonElement version, string name) => (version.NumberOf(name) ?? 0) is >= 0 and <= int.MaxValue and var number
        ? (int)number
        : throw new QmpProtocolException("a greeting with a version that is none");
}

/// <summary>A command succeeded.</summary>
/// <param name="Id">The id of the request; null when the server left it out.</param>
/// <param name="Value">What the command returns.</param>
public sealed record QmpReturn(string? Id, JsonElement Value) : QmpMessage;

/// <summary>A command failed.</summary>
/// <param name="Id">The id of the request; null when the server could not read it.</param>
/// <param name="Class">The error class, mostly <c>GenericError</c>.</param>
/// <param name="Description">The server's words.</param>
public sealed record QmpFailure(string? Id, string Class, string Description) : QmpMessage;

/// <summary>Something happened in QEMU.</summary>
/// <param name="Name">Such as <c>STOP</c>.</param>
/// <param name="Data">The details; <see cref="JsonValueKind.Undefined"/> when there are none.</param>
/// <param name="Time">When, by QEMU's clock, in microseconds.</param>
public sealed record QmpEvent(string Name, JsonElement Data, DateTimeOffset Time) : QmpMessage
{
    /// <summary>When the event came in, in ticks of <see cref="System.Diagnostics.Stopwatch"/>.</summary>
    public long ReceivedAt { get; init; }
}
