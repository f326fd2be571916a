using System.Text;
using SnapshotTools.Qemu.Qmp;
using Xunit;

namespace SnapshotTools.Qemu.Tests.Qmp;

public class QmpParserTests
{
    private const string Greeting =
        """{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian 1:7.2"}, "capabilities": ["oob"]}}""";
    private const string Stop = """{"timestamp": {"seconds": 1700000000, "microseconds": 250001}, "event": "STOP"}""";
    private const string Answer = """{"return": {"text": "a \"}{[\\ b", "list": [1, {"x": null}]}, "id": "st-1"}""";
    private const string Error = """{"error": {"class": "GenericError", "desc": "no such node"}, "id": "st-2"}""";
    private static readonly string Conversation = $"{Greeting}\r\n{Stop}\n\n  {Answer}{Error}\n";

    [Fact]
    public void Bytes_one_by_one_give_the_same_messages_as_all_at_once()
    {
        byte[] bytes = Encoding.UTF8.GetBytes(Conversation);
        var whole = ReadAll(new QmpParser(), [bytes]);
        Assert.Equal(4, whole.Count);
        for (int piece = 1; piece <= 64; piece++)
            Assert.Equal(whole.Select(Text), ReadAll(new QmpParser(), bytes.Chunk(piece)).Select(Text));
    }

    [Fact]
    public void A_message_comes_with_its_last_byte_and_not_before()
    {
        var parser = new QmpParser();
        byte[] bytes = Encoding.UTF8.GetBytes(Answer);
        foreach (byte b in bytes[..^1])
        {
            parser.Append([b]);
            Assert.False(parser.TryRead(out _));
        }
        parser.Append([bytes[^1]]);
        Assert.True(parser.TryRead(out var message));
        Assert.Equal("a \"}{[\\ b", Assert.IsType<QmpReturn>(message).Value.GetProperty("text").GetString());
        Assert.False(parser.TryRead(out _));
    }

    [Fact]
    public void Surplus_bytes_belong_to_the_next_message()
    {
        var parser = new QmpParser();
        parser.Append(Encoding.UTF8.GetBytes(Answer + Error[..20]));
        Assert.True(parser.TryRead(out var first));
        Assert.IsType<QmpReturn>(first);
        Assert.False(parser.TryRead(out _));
        parser.Append(Encoding.UTF8.GetBytes(Error[20..]));
        Assert.True(parser.TryRead(out var second));
        Assert.Equal(new QmpFailure("st-2", "GenericError", "no such node"), second);
    }

    [Fact]
    public void Greeting_tells_version_package_and_capabilities()
    {
        var greeting = Assert.IsType<QmpGreeting>(ReadAll(new QmpParser(), [Encoding.UTF8.GetBytes(Greeting)]).Single());
        Assert.Equal(new Version(7, 2, 22), greeting.Version);
        Assert.Equal("Debian 1:7.2", greeting.Package);
        Assert.Equal(["oob"], greeting.Capabilities);
    }

    [Fact]
    public void Event_keeps_the_microseconds_of_its_time()
    {
        var happened = Assert.IsType<QmpEvent>(ReadAll(new QmpParser(), [Encoding.UTF8.GetBytes(Stop)]).Single());
        Assert.Equal("STOP", happened.Name);
        Assert.Equal(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000).AddMicroseconds(250_001), happened.Time);
    }

    [Theory]
    [InlineData("x")]
    [InlineData("[1]")]
    [InlineData("\"text\"")]
    [InlineData("{\"return\": }")]
    [InlineData("{]")]
    [InlineData("{\"neither\": 1}")]
    [InlineData("{\"QMP\": {}}")]
    [InlineData("{\"QMP\": 7}")]
    [InlineData("{\"QMP\": {\"version\": {\"qemu\": {\"major\": -1}}}}")]
    [InlineData("{\"QMP\": {\"version\": {\"qemu\": {\"major\": 7, \"minor\": 4294967295}}}}")]
    [InlineData("\u00ff")]
    public void What_is_not_qmp_is_refused(string text)
    {
        var parser = new QmpParser();
        parser.Append(Encoding.Latin1.GetBytes(text));
        Assert.Throws<QmpProtocolException>(() => parser.TryRead(out _));
    }

    [Fact]
    public void Wrong_types_inside_a_message_do_no_harm()
    {
        string[] odd =
        [
            """{"error": 7, "id": 7}""",
            """{"return": {}, "id": {"a": 1}}""",
            """{"return": {}, "id": "\ud800"}""",
            """{"event": "X", "timestamp": {"seconds": 9e99, "microseconds": -1}}""",
            """{"event": "X", "timestamp": {"seconds": 1, "microseconds": 9999999999999}}""",
        ];
        Assert.Equal(odd.Length, ReadAll(new QmpParser(), odd.Select(Encoding.UTF8.GetBytes)).Count);
    }

    [Fact]
    public void A_long_message_is_read_and_an_endless_one_is_refused()
    {
        byte[] fits = Encoding.UTF8.GetBytes($$"""{"return": "{{new string('a', 1 << 20)}}"}""");
        Assert.Single(ReadAll(new QmpParser(fits.Length), fits.Chunk(7000)));

        var parser = new QmpParser(maxMessageBytes: 1000);
        parser.Append(Encoding.UTF8.GetBytes("{\"return\": \"" + new string('a', 900)));
        Assert.False(parser.TryRead(out _));
        parser.Append(new byte[200]);
        Assert.Throws<QmpProtocolException>(() => parser.TryRead(out _));
    }

    [Fact]
    public void Deep_nesting_is_refused_not_followed()
    {
        var parser = new QmpParser();
        parser.Append(Encoding.UTF8.GetBytes("{\"return\":" + new string('[', 100_000) + new string(']', 100_000) + "}"));
        Assert.Throws<QmpProtocolException>(() => parser.TryRead(out _));
    }

    private static List<QmpMessage> ReadAll(QmpParser parser, IEnumerable<byte[]> pieces)
    {
        var messages = new List<QmpMessage>();
        foreach (byte[] piece in pieces)
        {
            parser.Append(piece);
            while (parser.TryRead(out var message)) messages.Add(message);
        }
        return messages;
    }

    private static string Text(QmpMessage message) => message is QmpReturn answer ? $"{answer.Id} {answer.Value.GetRawText()}"
        : message is QmpGreeting greeting ? greeting.Version.ToString() : message.ToString();
}
