using System.Buffers.Binary;

namespace SnapshotTools.Qemu.Memory;

/// <summary>
/// Frames of the Zstandard format (RFC 8878), each with at most 1 MiB of content and its size. With libzstd they are
/// compressed, where that is of use, and carry a checksum; without it they hold the content as it is (section 3.1.1.2.2, Raw_Block), which every
/// zstd tool reads as well.
/// </summary>
internal static class ZstdFrame
{
    /// <summary>The most content that a frame has.</summary>
    public const int MaxContent = 1 << 20;

    /// <summary>The most bytes that a frame has: content that does not compress, and headers.</summary>
    public const int MaxFrame = MaxContent + (16 << 10);

    /// <summary>The first four bytes of a frame.</summary>
    public const uint Magic = 0xfd2fb528;

    /// <summary>The descriptors of frames that are stored as they are: one segment, its size in four bytes, without and with a checksum.</summary>
    public const byte Stored = 0xa0, StoredWithChecksum = 0xa4;

    private const uint SkippableMagic = 0x184d2a50;     // with any low four bits
    private const int RawHeader = 9;    // magic, descriptor, content size

    /// <summary>What <see cref="Compress"/> works with, for one thread at a time; null where there is no libzstd.</summary>
    public static ZstdCompressor? CreateCompressor()
    {
        if (!ZstdNative.IsAvailable) return null;
        var compressor = ZstdNative.CreateCompressor();
        if (compressor.IsInvalid) throw new InsufficientMemoryException("libzstd could not allocate a compression context.");
        ZstdNative.SetParameter(compressor, ZstdNative.CompressionLevelParameter, 1);
        ZstdNative.SetParameter(compressor, ZstdNative.ChecksumParameter, 1);
        return compressor;
    }

    /// <summary>Makes a frame of the content.</summary>
    /// <param name="compressor">Of <see cref="CreateCompressor"/>.</param>
    /// <param name="content">At most <see cref="MaxContent"/> bytes.</param>
    /// <param name="frame">Room for <see cref="MaxFrame"/> bytes.</param>
    /// <returns>The bytes of the frame.</returns>
    public static unsafe int Compress(ZstdCompressor compressor, ReadOnlySpan<byte> content, Span<byte> frame)
    {
        fixed (byte* to = frame)
        fixed (byte* from = content)
        {
            nuint size = ZstdNative.Compress(compressor, to, (nuint)frame.Length, from, (nuint)content.Length);
            return ZstdNative.IsError(size) == 0 ? (int)size : throw new InvalidOperationException("libzstd could not compress a block.");
        }
    }

    /// <summary>The bytes of the frame at the beginning of the data; 0 when it does not end within them.</summary>
    /// <exception cref="InvalidDataException">There is no frame that was written here.</exception>
    public static unsafe int SizeOf(ReadOnlySpan<byte> data)
    {
        if (data.Length < 8) return 0;
        uint magic = BinaryPrimitives.ReadUInt32LittleEndian(data);
        if ((magic & ~15u) == SkippableMagic)
        {
            uint length = BinaryPrimitives.ReadUInt32LittleEndian(data[4..]);
            if (length > MaxFrame - 8) throw new InvalidDataException("a frame is too long");
            return data.Length < length + 8 ? 0 : (int)length + 8;
        }
        if (magic != Magic) throw new InvalidDataException("what should be a frame is none");
        if (data.Length > MaxFrame) data = data[..MaxFrame];
        if (!ZstdNative.IsAvailable) return SizeOfStored(data);
        fixed (byte* bytes = data)
        {
            nuint size = ZstdNative.FindFrameSize(bytes, (nuint)data.Length);
            if (ZstdNative.IsError(size) == 0) return (int)size;
            return data.Length < MaxFrame ? 0 : throw new InvalidDataException("a frame is too long or damaged");
        }
    }

    /// <summary>The content of a whole frame; null for a skippable one.</summary>
    /// <exception cref="InvalidDataException">The frame is damaged, or has more content than any that was written here.</exception>
    public static byte[]? Decompress(ReadOnlySpan<byte> frame)
    {
        if ((BinaryPrimitives.ReadUInt32LittleEndian(frame) & ~15u) == SkippableMagic) return null;
        return ZstdNative.IsAvailable ? DecompressNative(frame) : Restore(frame);
    }

    /// <summary>A frame that decompressors pass over (section 3.1.2).</summary>
    public static byte[] Skippable(int kind, ReadOnlySpan<byte> data)
    {
        byte[] frame = new byte[8 + data.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(frame, SkippableMagic | (uint)kind);
        BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(4), (uint)data.Length);
        data.CopyTo(frame.AsSpan(8));
        return frame;
    }

    /// <summary>What a skippable frame of a kind holds; null when it is another frame.</summary>
    public static byte[]? SkippableContent(int kind, ReadOnlySpan<byte> frame) =>
        frame.Length >= 8 && BinaryPrimitives.ReadUInt32LittleEndian(frame) == (SkippableMagic | (uint)kind) ? frame[8..].ToArray() : null;

    private static unsafe byte[] DecompressNative(ReadOnlySpan<byte> frame)
    {
        using var context = ZstdNative.CreateDecompressor();
        if (context.IsInvalid) throw new InsufficientMemoryException("libzstd could not allocate a decompression context.");
        byte[] target = new byte[MaxContent];
        fixed (byte* to = target)
        fixed (byte* from = frame)
        {
            nuint size = ZstdNative.Decompress(context, to, (nuint)target.Length, from, (nuint)frame.Length);
            if (ZstdNative.IsError(size) != 0) throw new InvalidDataException("a frame is damaged");
            return target[..(int)size];
        }
    }

    /// <summary>The same without libzstd.</summary>
    internal static int SizeOfStored(ReadOnlySpan<byte> data)
    {
        if (data.Length < RawHeader) return 0;
        if (data[4] is not (Stored or StoredWithChecksum)) throw new InvalidDataException("the memory is compressed, and this machine has no libzstd to expand it");
        for (int at = RawHeader; at + 3 <= data.Length;)
        {
            int header = data[at] | data[at + 1] << 8 | data[at + 2] << 16;
            if ((header & 6) != 0) throw new InvalidDataException("the memory is compressed, and this machine has no libzstd to expand it");
            at += 3 + (header >> 3);
            if ((header & 1) == 0) continue;
            if (data[4] == StoredWithChecksum) at += sizeof(uint);
            return at <= data.Length ? at : 0;
        }
        return data.Length < MaxFrame ? 0 : throw new InvalidDataException("a frame is too long or damaged");
    }

    /// <summary>The same without libzstd: the content of a frame of <see cref="SizeOfStored"/>.</summary>
    internal static byte[] Restore(ReadOnlySpan<byte> frame)
    {
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(frame[5..]);
        if (length > MaxContent) throw new InvalidDataException("a frame has too much content");
        byte[] content = new byte[length];
        int done = 0;
        for (int at = RawHeader; at + 3 <= frame.Length;)
        {
            int header = frame[at] | frame[at + 1] << 8 | frame[at + 2] << 16, size = header >> 3;
            if (size > content.Length - done) throw new InvalidDataException("a frame is damaged");
            frame.Slice(at + 3, size).CopyTo(content.AsSpan(done));
            done += size;
            at += 3 + size;
            if ((header & 1) == 0) continue;
            if (frame[4] == StoredWithChecksum && (frame.Length < at + sizeof(uint) || BinaryPrimitives.ReadUInt32LittleEndian(frame[at..]) != (uint)new XxHash64().Finish(content)))
                throw new InvalidDataException("a frame is damaged");
            break;
        }
        return done == content.Length ? content : throw new InvalidDataException("a frame is damaged");
    }
}
