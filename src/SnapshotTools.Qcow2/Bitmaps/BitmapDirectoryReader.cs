using System.Buffers.Binary;
using System.Text;
using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>Reads the directory of persistent bitmaps of a file that nobody has checked.</summary>
internal static class BitmapDirectoryReader
{
    private const int ExtensionBytes = 24;

    /// <summary>Bytes of an entry before its extra data and name.</summary>
    private const int FixedBytes = 24;

    /// <summary>Bitmaps of an image (QEMU: QCOW2_MAX_BITMAPS).</summary>
    private const uint MaxBitmaps = 65535;

    /// <summary>Bytes of the directory: far more than QEMU ever writes.</summary>
    private const long MaxDirectoryBytes = 64L << 20;

    /// <summary>Entries of a bitmap's table (QEMU: BME_MAX_TABLE_SIZE).</summary>
    private const uint MaxTableEntries = 0x8000000;

    private const int MaxNameBytes = 1023;
    private const int MinGranularityBits = 9;
    private const int MaxGranularityBits = 31;
    private const ulong ConsistentBit = 1;

    /// <summary>Reads the directory; one without bitmaps when the image has none.</summary>
    /// <exception cref="Qcow2Exception">The extension or an entry is out of its bounds, or the directory goes past the end of the file.</exception>
    public static BitmapDirectory Read(IBlockFile file, Qcow2Header header, IReadOnlyList<HeaderExtension> extensions)
    {
        HeaderExtension? extension = extensions.FirstOrDefault(e => e.Type == HeaderExtension.Bitmaps);
        bool consistent = (header.AutoclearFeatures & ConsistentBit) != 0;
        if (extension is null)
        {
            return consistent ? throw Invalid(file, Qcow2ErrorCode.InvalidHeader, "is announced by a feature bit and missing") : new BitmapDirectory(true, []);
        }
        ReadOnlySpan<byte> data = extension.Data.Span;
        if (data.Length < ExtensionBytes) throw Invalid(file, Qcow2ErrorCode.InvalidHeader, $"has an extension of {data.Length} bytes; {ExtensionBytes} are needed");
        uint count = BinaryPrimitives.ReadUInt32BigEndian(data);
        ulong bytes = BinaryPrimitives.ReadUInt64BigEndian(data[8..]);
        ulong offset = BinaryPrimitives.ReadUInt64BigEndian(data[16..]);
        if (count is 0 or > MaxBitmaps) throw Invalid(file, Qcow2ErrorCode.InvalidHeader, $"has {count} bitmaps; from 1 to {MaxBitmaps} are possible");
        if (bytes > MaxDirectoryBytes) throw Invalid(file, Qcow2ErrorCode.InvalidHeader, $"has {bytes} bytes; at most {MaxDirectoryBytes} are possible");
        if (offset >= (ulong)Limits.MaxHostOffset || (offset & ((1UL << header.ClusterBits) - 1)) != 0 || offset == 0)
            throw Invalid(file, Qcow2ErrorCode.InvalidHeader, $"lies at {offset}, which is not a place for it");
        if ((long)(offset + bytes) > file.Length)
            throw Invalid(file, Qcow2ErrorCode.Truncated, $"lies at {offset} to {offset + bytes}, past the end of the file at {file.Length}");

        byte[] content = new byte[(int)bytes];
        content.AsSpan(file.Read((long)offset, content)).Clear();
        var bitmaps = new List<PersistentBitmap>();
        int at = 0;
        while (at < content.Length) bitmaps.Add(ReadEntry(file, header, content, ref at));
        if (bitmaps.Count != count) throw Invalid(file, Qcow2ErrorCode.InvalidTable, $"has {bitmaps.Count} entries, and the header says {count}");
        return new BitmapDirectory(consistent, bitmaps) { Offset = (long)offset, Bytes = (long)bytes };
    }

    private static PersistentBitmap ReadEntry(IBlockFile file, Qcow2Header header, ReadOnlySpan<byte> content, ref int at)
    {
        ReadOnlySpan<byte> entry = content[at..];
        if (entry.Length < FixedBytes) throw Invalid(file, Qcow2ErrorCode.InvalidTable, $"ends within the entry at its byte {at}");
        ulong tableOffset = BinaryPrimitives.ReadUInt64BigEndian(entry);
        uint tableEntries = BinaryPrimitives.ReadUInt32BigEndian(entry[8..]);
        var flags = (BitmapFlags)BinaryPrimitives.ReadUInt32BigEndian(entry[12..]);
        int granularityBits = entry[17];
        int nameLength = BinaryPrimitives.ReadUInt16BigEndian(entry[18..]);
        uint extraLength = BinaryPrimitives.ReadUInt32BigEndian(entry[20..]);
        long end = FixedBytes + (long)extraLength + nameLength;
        if (end > entry.Length) throw Invalid(file, Qcow2ErrorCode.InvalidTable, $"ends within the name or the extra data of the entry at its byte {at}");
        if (nameLength is 0 or > MaxNameBytes) throw Invalid(file, Qcow2ErrorCode.InvalidTable, $"has a name of {nameLength} bytes in the entry at its byte {at}; from 1 to {MaxNameBytes} are possible");
        if (entry[16] != 1) throw Invalid(file, Qcow2ErrorCode.InvalidTable, $"has a bitmap of the unknown type {entry[16]}");
        if (((uint)flags & ~7u) != 0) throw Invalid(file, Qcow2ErrorCode.InvalidTable, $"has a bitmap with reserved flags 0x{(uint)flags:x}");
        if (granularityBits is < MinGranularityBits or > MaxGranularityBits)
            throw Invalid(file, Qcow2ErrorCode.InvalidTable, $"has a bitmap of granularity 2^{granularityBits}; from 2^{MinGranularityBits} to 2^{MaxGranularityBits} are possible");
        if (tableEntries is 0 or > MaxTableEntries || tableOffset >= (ulong)Limits.MaxHostOffset || (tableOffset & ((1UL << header.ClusterBits) - 1)) != 0)
            throw Invalid(file, Qcow2ErrorCode.InvalidTable, $"has a bitmap whose table of {tableEntries} entries at {tableOffset} is impossible");

        int place = at;
        at += (int)Math.Min((end + 7) & ~7L, entry.Length);
        return new PersistentBitmap
        {
            EntryPlace = place,
            Name = Encoding.UTF8.GetString(entry.Slice((int)(FixedBytes + extraLength), nameLength)),
            InUse = (flags & BitmapFlags.InUse) != 0,
            Auto = (flags & BitmapFlags.Auto) != 0,
            ExtraDataCompatible = (flags & BitmapFlags.ExtraDataCompatible) != 0,
            Granularity = 1L << granularityBits,
            TableOffset = (long)tableOffset,
            TableEntries = (int)tableEntries,
            ExtraData = entry.Slice(FixedBytes, (int)extraLength).ToArray(),
        };
    }

    private static Qcow2Exception Invalid(IBlockFile file, Qcow2ErrorCode code, string cause) =>
        new(code, file.Path, $"The directory of bitmaps of '{file.Path}' {cause}. The image is damaged; its disk can be read all the same.");
}
