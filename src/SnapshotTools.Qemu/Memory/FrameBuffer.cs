using System.Buffers.Binary;

namespace SnapshotTools.Qemu.Memory;

/// <summary>
/// Up to 1 MiB of a stream, read into its place within a frame of raw blocks, so that what does not compress is neither compressed nor copied:
/// only the headers and the checksum are put around it. For one thread at a time.
/// </summary>
internal sealed class FrameBuffer
{
    private const int FrameHeader = 9;      // magic, descriptor, content size
    private const int BlockHeader = 3;
    private const int Block = 128 << 10;    // the most that a block of the format has
    private const int Checksum = 4;
    private const int Pages = 256, SampleOfPage = 64;

    // Chi-squared of noise has a mean of 255 and a deviation of 23. One part in a hundred that is zero is above it.
    private const int MostNoise = 450;

    private readonly byte[] _bytes = GC.AllocateUninitializedArray<byte>(FrameHeader + (ZstdFrame.MaxContent + Block - 1) / Block * (BlockHeader + Block) + Checksum);

    /// <summary>Bytes of content.</summary>
    public int Count { get; private set; }

    /// <summary>Reads until it is full or the stream ends.</summary>
    /// <param name="source">The stream.</param>
    /// <param name="drained">Called with the bytes of a reading that gave less than was asked for.</param>
    /// <returns>Whether it is full.</returns>
    public bool Fill(Stream source, Action<int> drained)
    {
        Count = 0;
        while (Count < ZstdFrame.MaxContent)
        {
            var room = _bytes.AsSpan(PlaceOf(Count), Block - Count % Block);
            int some = source.Read(room);
            if (some == 0) return false;
            Count += some;
            if (some < room.Length) drained(some);
        }
        return true;
    }

    /// <summary>The frame, as it is to be written. The content is no longer there afterwards.</summary>
    /// <param name="compressor">Null stores the content as it is, without a checksum, which a machine without libzstd could not check.</param>
    /// <param name="room">For <see cref="ZstdFrame.MaxFrame"/> bytes.</param>
    public ReadOnlyMemory<byte> ToFrame(ZstdCompressor? compressor, byte[] room) =>
        compressor is null || IsNoise() ? Store(compressor is not null) : room.AsMemory(0, ZstdFrame.Compress(compressor, Join(), room));

    /// <summary>Whether no compression is to be expected: a sample of the bytes is as evenly spread as noise is.</summary>
    public bool IsNoise()
    {
        if (Count < ZstdFrame.MaxContent) return false;
        Span<int> first = stackalloc int[256], second = stackalloc int[256];
        for (int page = 0; page < Pages; page++)
        {
            // The stream's pages have 8 bytes more than these, so that the sample wanders through them.
            var sample = _bytes.AsSpan(PlaceOf(page * (ZstdFrame.MaxContent / Pages)), SampleOfPage);
            for (int i = 0; i < sample.Length; i += 2)
            {
                first[sample[i]]++;
                second[sample[i + 1]]++;
            }
        }
        const int Expected = Pages * SampleOfPage / 256;
        long squares = 0;
        for (int i = 0; i < first.Length; i++) squares += (long)(first[i] + second[i] - Expected) * (first[i] + second[i] - Expected);
        return squares < (long)MostNoise * Expected;
    }

    /// <summary>The content in a frame as it is, with or without a checksum.</summary>
    public ReadOnlyMemory<byte> Store(bool isChecked)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(_bytes, ZstdFrame.Magic);
        _bytes[4] = isChecked ? ZstdFrame.StoredWithChecksum : ZstdFrame.Stored;
        BinaryPrimitives.WriteUInt32LittleEndian(_bytes.AsSpan(5), (uint)Count);
        var hash = new XxHash64();
        for (int from = 0; ; from += Block)
        {
            int size = Math.Min(Block, Count - from), at = PlaceOf(from);
            bool isLast = from + size == Count;
            int header = size << 3 | (isLast ? 1 : 0);
            (_bytes[at - 3], _bytes[at - 2], _bytes[at - 1]) = ((byte)header, (byte)(header >> 8), (byte)(header >> 16));
            var content = _bytes.AsSpan(at, size);
            if (!isLast)
            {
                if (isChecked) hash.Add(content);
                continue;
            }
            if (!isChecked) return _bytes.AsMemory(0, at + size);
            BinaryPrimitives.WriteUInt32LittleEndian(_bytes.AsSpan(at + size), (uint)hash.Finish(content));
            return _bytes.AsMemory(0, at + size + Checksum);
        }
    }

    /// <summary>The content without the places for headers in it.</summary>
    private ReadOnlySpan<byte> Join()
    {
        for (int from = Block; from < Count; from += Block)
            _bytes.AsSpan(PlaceOf(from), Math.Min(Block, Count - from)).CopyTo(_bytes.AsSpan(PlaceOf(0) + from));
        return _bytes.AsSpan(PlaceOf(0), Count);
    }

    private static int PlaceOf(int content) => FrameHeader + content + (content / Block + 1) * BlockHeader;
}
