namespace SnapshotTools.Qemu.Qmp;

/// <summary>
/// Cuts a stream of bytes into the JSON objects that it carries, whatever pieces the bytes come in and however the
/// objects are separated. It does no I/O and does not judge what is inside an object. Every byte is looked at once.
/// </summary>
/// <param name="maxObjectBytes">An object longer than this is refused: the other side may never end it.</param>
public sealed class JsonStreamSplitter(int maxObjectBytes)
{
    private const int SmallBuffer = 4096;
    private const int LargeBuffer = 1 << 20;    // not kept once it is empty

    private byte[] _buffer = new byte[SmallBuffer];
    private int _start;     // of the object that is not complete yet
    private int _scanned;   // bytes before this have been looked at
    private int _end;
    private int _depth;
    private bool _inString;
    private bool _escaped;

    /// <summary>Takes bytes as they came in.</summary>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        if (_end + bytes.Length > _buffer.Length) MakeRoom(bytes.Length);
        bytes.CopyTo(_buffer.AsSpan(_end));
        _end += bytes.Length;
    }

    /// <summary>
    /// The next whole object, or false when more bytes are needed. The span is valid until the next call of any method.
    /// </summary>
    /// <exception cref="QmpProtocolException">Something other than an object is in the stream, or an object is too long.</exception>
    public bool TryRead(out ReadOnlySpan<byte> json)
    {
        while (_scanned < _end)
        {
            byte b = _buffer[_scanned++];
            if (_depth == 0)
            {
                if (b is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n') { _start = _scanned; continue; }
                if (b != (byte)'{')
                    throw new QmpProtocolException($"byte 0x{b:x2} where a JSON object should begin");
                _start = _scanned - 1;
                _depth = 1;
            }
            else if (_inString)
            {
                if (_escaped) _escaped = false;
                else if (b == (byte)'\\') _escaped = true;
                else if (b == (byte)'"') _inString = false;
            }
            else if (b == (byte)'"') _inString = true;
            else if (b is (byte)'{' or (byte)'[') _depth++;
            else if (b is (byte)'}' or (byte)']' && --_depth == 0)
            {
                json = _buffer.AsSpan(_start, _scanned - _start);
                _start = _scanned;
                return true;
            }
            if (_scanned - _start > maxObjectBytes)
                throw new QmpProtocolException($"a message longer than {maxObjectBytes} bytes");
        }
        json = default;
        return false;
    }

    /// <summary>Forgets all bytes taken so far.</summary>
    public void Reset()
    {
        _start = _scanned = _end = _depth = 0;
        _inString = _escaped = false;
    }

    private void MakeRoom(int count)
    {
        int kept = _end - _start;
        byte[] target = _buffer;
        if (kept + count > _buffer.Length) target = new byte[Math.Max(kept + count, _buffer.Length * 2)];
        else if (kept == 0 && _buffer.Length > LargeBuffer) target = new byte[Math.Max(count, SmallBuffer)];
        Buffer.BlockCopy(_buffer, _start, target, 0, kept);
        _buffer = target;
        _scanned -= _start;
        _end = kept;
        _start = 0;
    }
}
