using System.Diagnostics.CodeAnalysis;

namespace SnapshotTools.Qemu.Qmp;

/// <summary>Bytes in, messages out: the receiving half of QMP, without any I/O.</summary>
/// <param name="maxMessageBytes">The bound of one message.</param>
public sealed class QmpParser(int maxMessageBytes = QmpParser.DefaultMaxMessageBytes)
{
    /// <summary>64 MiB: a hundred times what QEMU answers about a machine with a thousand layers.</summary>
    public const int DefaultMaxMessageBytes = 64 << 20;

    private readonly JsonStreamSplitter _splitter = new(maxMessageBytes);

    /// <summary>Takes bytes as they came in.</summary>
    public void Append(ReadOnlySpan<byte> bytes) => _splitter.Append(bytes);

    /// <summary>The next message, or false when more bytes are needed.</summary>
    /// <exception cref="QmpProtocolException">The other side does not speak QMP; nothing that follows can be trusted.</exception>
    public bool TryRead([NotNullWhen(true)] out QmpMessage? message)
    {
        message = _splitter.TryRead(out var json) ? QmpMessage.Parse(json) : null;
        return message is not null;
    }
}
