using System.Buffers.Binary;
using System.Text;

namespace SnapshotTools.Qcow2;

/// <summary>Makes the bytes of the header cluster: fields, extensions, backing file name.</summary>
/// <remarks>
/// <para>A new image is laid out compactly: fields, extensions (the backing format first), end mark, name.</para>
/// <para>A change must be atomic although extensions and name may be longer than a sector, the one thing that a disk
/// writes wholly or not at all. Where everything fits into the first sector, that sector is written and all is done.
/// Otherwise extensions and name are written to a place of the header cluster that is not in use, and flushed; then
/// one write of the first sector leads there: its fields are followed by one extension of our own type, a gap, which
/// every reader skips (unknown extensions can be ignored) and behind which the new list begins. The old list is in the
/// gap then, and the next change may be written over it.</para>
/// </remarks>
internal static class HeaderLayout
{
    /// <summary>Length of the header that we know and write for version 3.</summary>
    public const int KnownLength = 112;

    private const int BackingOffsetAt = 8;
    private const int BackingSizeAt = 16;

    /// <summary>The fields and, behind them, extensions and name, in one piece.</summary>
    /// <returns>The bytes, and the header with the place of the name.</returns>
    public static (byte[] Bytes, Qcow2Header Header) Compact(Qcow2Header header, IReadOnlyList<HeaderExtension> extensions)
    {
        byte[] tail = Tail(extensions, header.BackingFile, out int nameAt);
        header = header with { BackingFileOffset = header.BackingFile is null ? 0 : header.HeaderLength + nameAt };
        byte[] bytes = new byte[header.HeaderLength + tail.Length];
        WriteFields(bytes, header);
        tail.CopyTo(bytes, header.HeaderLength);
        return (bytes, header);
    }

    /// <summary>Extensions and name for another place of the header cluster, and the first sector that leads there.</summary>
    public static (byte[] Tail, byte[] Sector, Qcow2Header Header) Apart(Qcow2Header header, IReadOnlyList<HeaderExtension> extensions, int place)
    {
        byte[] tail = Tail(extensions, header.BackingFile, out int nameAt);
        header = header with { BackingFileOffset = header.BackingFile is null ? 0 : place + nameAt };
        byte[] sector = new byte[Limits.Sector];
        WriteFields(sector, header);
        BinaryPrimitives.WriteUInt32BigEndian(sector.AsSpan(header.HeaderLength), HeaderExtension.Gap);
        BinaryPrimitives.WriteUInt32BigEndian(sector.AsSpan(header.HeaderLength + 4), (uint)(place - header.HeaderLength - 8));
        return (tail, sector, header);
    }

    /// <summary>Writes the fields (qcow2 specification, "Header") over the beginning of <paramref name="bytes"/>, leaving the rest.</summary>
    public static void WriteFields(Span<byte> bytes, Qcow2Header header)
    {
        BinaryPrimitives.WriteUInt32BigEndian(bytes, HeaderParser.Magic);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[4..], (uint)header.Version);
        BinaryPrimitives.WriteInt64BigEndian(bytes[BackingOffsetAt..], header.BackingFileOffset);
        BinaryPrimitives.WriteInt32BigEndian(bytes[BackingSizeAt..], header.BackingFile is null ? 0 : Encoding.UTF8.GetByteCount(header.BackingFile));
        BinaryPrimitives.WriteInt32BigEndian(bytes[20..], header.ClusterBits);
        BinaryPrimitives.WriteInt64BigEndian(bytes[24..], header.VirtualSize);
        BinaryPrimitives.WriteInt32BigEndian(bytes[32..], 0);
        BinaryPrimitives.WriteInt32BigEndian(bytes[36..], header.L1Entries);
        BinaryPrimitives.WriteInt64BigEndian(bytes[40..], header.L1Offset);
        BinaryPrimitives.WriteInt64BigEndian(bytes[48..], header.RefcountTableOffset);
        BinaryPrimitives.WriteInt32BigEndian(bytes[56..], header.RefcountTableClusters);
        BinaryPrimitives.WriteInt32BigEndian(bytes[60..], header.SnapshotCount);
        BinaryPrimitives.WriteInt64BigEndian(bytes[64..], header.SnapshotsOffset);
        if (header.Version == 2) return;
        BinaryPrimitives.WriteUInt64BigEndian(bytes[72..], (ulong)header.IncompatibleFeatures);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[80..], header.CompatibleFeatures);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[88..], header.AutoclearFeatures);
        BinaryPrimitives.WriteInt32BigEndian(bytes[96..], header.RefcountOrder);
        BinaryPrimitives.WriteInt32BigEndian(bytes[100..], header.HeaderLength);
        if (header.HeaderLength > 104) bytes[104] = (byte)header.CompressionType;
        header.UnknownFields.Span.CopyTo(bytes[KnownLength..]);
    }

    /// <summary>Extensions, end mark and name, as they stand behind the fields or behind a gap.</summary>
    private static byte[] Tail(IReadOnlyList<HeaderExtension> extensions, string? backingFile, out int nameAt)
    {
        int length = extensions.Sum(e => 8 + Padded(e.Data.Length)) + 8;
        nameAt = length;
        byte[] name = backingFile is null ? [] : Encoding.UTF8.GetBytes(backingFile);
        byte[] bytes = new byte[length + name.Length];
        int at = 0;
        foreach (HeaderExtension extension in extensions)
        {
            BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(at), extension.Type);
            BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(at + 4), extension.Data.Length);
            extension.Data.Span.CopyTo(bytes.AsSpan(at + 8));
            at += 8 + Padded(extension.Data.Length);
        }
        name.CopyTo(bytes, nameAt);
        return bytes;
    }

    private static int Padded(int length) => (length + 7) & ~7;
}
