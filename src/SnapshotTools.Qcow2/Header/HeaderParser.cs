using System.Buffers.Binary;
using System.Text;
using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>Reads and checks the header cluster of a file that nobody has checked before. Nothing is allocated or read
/// by a size or offset of the file before it was compared with its limit and with the length of the file.</summary>
internal sealed class HeaderParser
{
    public const uint Magic = 0x514649FB;
    public const int V2Length = 72;
    public const int V3MinLength = 104;

    /// <summary>Nearly every header with its extensions and backing name fits here; the rest is read when needed.</summary>
    private const int FirstRead = 4096;

    private static readonly UTF8Encoding StrictUtf8 = new(false, throwOnInvalidBytes: true);

    private readonly IBlockFile _file;
    private readonly long _fileLength;
    private byte[] _bytes;

    private HeaderParser(IBlockFile file)
    {
        _file = file;
        _fileLength = file.Length;
        _bytes = new byte[(int)Math.Min(FirstRead, _fileLength)];
        int read = file.Read(0, _bytes);
        if (read < _bytes.Length) Array.Resize(ref _bytes, read);
    }

    /// <summary>Reads and checks the header and its extensions, without the gaps of ours.</summary>
    /// <param name="file">The file.</param>
    /// <param name="toRepair">Whether the refcount table may be anywhere: all else can be read without it, and it can be built anew.</param>
    /// <exception cref="Qcow2Exception">It is not a qcow2 image, or not one that this library takes.</exception>
    public static (Qcow2Header Header, IReadOnlyList<HeaderExtension> Extensions) Parse(IBlockFile file, bool toRepair = false)
    {
        var parser = new HeaderParser(file);
        Qcow2Header header = parser.ParseFields();
        List<HeaderExtension> extensions = parser.ParseExtensions(header);
        parser.CheckFeatures(header, extensions);
        header = header with { BackingFile = parser.ParseBackingName(header) };
        parser.CheckTables(header, toRepair);
        return (header, extensions);
    }

    private Qcow2Header ParseFields()
    {
        if (_bytes.Length < 8 || U32(0) != Magic)
            throw Fail(Qcow2ErrorCode.NotQcow2, "it does not begin with the qcow2 magic");
        uint version = U32(4);
        if (version is not (2 or 3))
            throw Fail(Qcow2ErrorCode.UnsupportedVersion, $"its version is {version}; versions 2 and 3 are supported");
        Need(0, version == 2 ? V2Length : V3MinLength, "header");

        uint clusterBits = U32(20);
        Bound(clusterBits, Limits.MinClusterBits, Limits.MaxClusterBits, "cluster bits");
        uint headerLength = version == 2 ? V2Length : U32(100);
        if (version == 3)
        {
            Bound(headerLength, V3MinLength, 1u << (int)clusterBits, "header length");
            if (headerLength % 8 != 0) throw Invalid($"its header length {headerLength} is not a multiple of 8");
        }
        Need(0, (int)headerLength, "header");
        uint refcountOrder = version == 2 ? 4 : U32(96);
        Bound(refcountOrder, 0, Limits.MaxRefcountOrder, "refcount order");
        ulong size = U64(24);
        if (size > long.MaxValue) throw Invalid($"its virtual size {size} is beyond 2^63");
        if (size % Limits.Sector != 0) throw Invalid($"its virtual size {size} is not a multiple of 512");
        Bound(U32(36), 0, Limits.MaxL1Bytes / 8, "number of L1 entries");
        Bound(U32(56), 1, Limits.MaxRefcountTableBytes >> (int)clusterBits, "number of refcount table clusters");
        Bound(U32(60), 0, Limits.MaxSnapshots, "number of internal snapshots");
        uint encryption = U32(32);
        if (encryption != 0)
            throw Unsupported(encryption switch { 1 => "AES encryption", 2 => "LUKS encryption", _ => $"encryption method {encryption}" });

        return new Qcow2Header
        {
            Version = (int)version,
            VirtualSize = (long)size,
            ClusterBits = (int)clusterBits,
            RefcountOrder = (int)refcountOrder,
            L1Entries = (int)U32(36),
            L1Offset = Offset(40, "L1 table"),
            RefcountTableOffset = Offset(48, "refcount table"),
            RefcountTableClusters = (int)U32(56),
            SnapshotCount = (int)U32(60),
            SnapshotsOffset = Offset(64, "snapshot table"),
            BackingFileOffset = Offset(8, "backing file name"),
            HeaderLength = (int)headerLength,
            IncompatibleFeatures = version == 2 ? 0 : (IncompatibleFeatures)U64(72),
            CompatibleFeatures = version == 2 ? 0 : U64(80),
            AutoclearFeatures = version == 2 ? 0 : U64(88),
            CompressionType = (CompressionType)(headerLength > 104 ? _bytes[104] : 0),
            UnknownFields = headerLength > HeaderLayout.KnownLength ? _bytes.AsMemory(HeaderLayout.KnownLength, (int)headerLength - HeaderLayout.KnownLength).ToArray() : default,
        };
    }

    private List<HeaderExtension> ParseExtensions(Qcow2Header header)
    {
        var extensions = new List<HeaderExtension>();
        int end = header.BackingFileOffset == 0 ? header.ClusterSize : (int)Math.Min(header.BackingFileOffset, header.ClusterSize);
        for (int at = header.HeaderLength; at + 8 <= end;)
        {
            Need(at, 8, "list of header extensions");
            uint type = U32(at);
            if (type == HeaderExtension.End) break;
            uint length = U32(at + 4);
            if (length > end - at - 8)
                throw Invalid($"its header extension 0x{type:x8} of {length} bytes goes beyond the space for extensions");
            if (type == HeaderExtension.BackingFormat && extensions.Exists(e => e.Type == type))
                throw Invalid("it records the format of its backing file twice");
            if (type != HeaderExtension.Gap)
            {
                Need(at + 8, (int)length, "list of header extensions");
                extensions.Add(new HeaderExtension(type, _bytes.AsMemory(at + 8, (int)length).ToArray()));
            }
            at += 8 + (((int)length + 7) & ~7);
        }
        return extensions;
    }

    private void CheckFeatures(Qcow2Header header, List<HeaderExtension> extensions)
    {
        const IncompatibleFeatures Known = IncompatibleFeatures.Dirty | IncompatibleFeatures.Corrupt
            | IncompatibleFeatures.CompressionType | IncompatibleFeatures.ExtendedL2;
        var unknown = header.IncompatibleFeatures & ~Known;
        if ((unknown & IncompatibleFeatures.ExternalDataFile) != 0 || (header.AutoclearFeatures & 2) != 0
            || extensions.Exists(e => e.Type == HeaderExtension.ExternalDataFile))
            throw Unsupported("an external data file");
        if (extensions.Exists(e => e.Type == HeaderExtension.Encryption)) throw Unsupported("encryption");
        if (unknown != 0)
        {
            int bit = System.Numerics.BitOperations.TrailingZeroCount((ulong)unknown);
            throw Unsupported($"incompatible feature bit {bit}{FeatureName(extensions, bit)}");
        }
        bool typeBit = (header.IncompatibleFeatures & IncompatibleFeatures.CompressionType) != 0;
        if (typeBit != (header.CompressionType != CompressionType.Zlib))
            throw Invalid($"its compression type {(int)header.CompressionType} contradicts its feature bit");
        if (header.CompressionType is not (CompressionType.Zlib or CompressionType.Zstd))
            throw Unsupported($"compression type {(int)header.CompressionType}");
        if (header.ExtendedL2 && header.ClusterBits < Limits.MinExtendedL2ClusterBits)
            throw Invalid($"extended L2 entries need clusters of at least {1 << Limits.MinExtendedL2ClusterBits} bytes, and it has {header.ClusterSize}");
    }

    private static string FeatureName(List<HeaderExtension> extensions, int bit)
    {
        const int Entry = 48;
        ReadOnlySpan<byte> names = extensions.Find(e => e.Type == HeaderExtension.FeatureNames) is { } table ? table.Data.Span : default;
        for (; names.Length >= Entry; names = names[Entry..])
        {
            if (names[0] != 0 || names[1] != bit) continue;
            var text = new StringBuilder(" (");
            foreach (byte b in names[2..Entry].TrimEnd((byte)0)) text.Append(b is >= 0x20 and < 0x7F ? (char)b : '?');
            return text.Append(')').ToString();
        }
        return "";
    }

    private string? ParseBackingName(Qcow2Header header)
    {
        uint length = U32(16);
        if (header.BackingFileOffset == 0 || length == 0) return null;
        Bound(length, 1, Limits.MaxBackingNameBytes, "length of the backing file name");
        if (header.BackingFileOffset < header.HeaderLength || header.BackingFileOffset + length > header.ClusterSize)
            throw Invalid("its backing file name is not within the header cluster");
        Need((int)header.BackingFileOffset, (int)length, "backing file name");
        ReadOnlySpan<byte> name = _bytes.AsSpan((int)header.BackingFileOffset, (int)length);
        if (name.Contains((byte)0)) throw Invalid("its backing file name contains a NUL");
        try
        {
            return StrictUtf8.GetString(name);
        }
        catch (DecoderFallbackException)
        {
            throw Invalid("its backing file name is not valid UTF-8");
        }
    }

    private void CheckTables(Qcow2Header header, bool toRepair)
    {
        var geometry = new Geometry(header);
        long needed = geometry.L1EntriesFor(header.VirtualSize);
        if (needed > header.L1Entries)
            throw Invalid($"its L1 table has {header.L1Entries} entries, and its virtual size needs {needed}");

        // What lies in the file by the header alone; two of them in one place would be destroyed by the first write.
        var areas = new List<(string Name, long Start, long End)> { ("header", 0, header.ClusterSize) };
        void Add(string name, long offset, long bytes)
        {
            if (bytes == 0) return;
            if (offset == 0) throw Invalid($"it has no {name}");
            if (!geometry.IsAligned(offset)) throw Invalid($"its {name} at {offset} does not begin at a cluster");
            if (offset > _fileLength - bytes)
                throw Fail(Qcow2ErrorCode.Truncated, $"its {name} is at {offset} to {offset + bytes}, and the file ends at {_fileLength}");
            foreach (var other in areas)
                if (offset < other.End && other.Start < offset + bytes) throw Invalid($"its {name} overlaps its {other.Name}");
            areas.Add((name, offset, offset + bytes));
        }
        Add("L1 table", header.L1Offset, header.L1Entries * 8L);
        if (!toRepair) Add("refcount table", header.RefcountTableOffset, (long)header.RefcountTableClusters << header.ClusterBits);
        Add("snapshot table", header.SnapshotsOffset, header.SnapshotCount * 40L);
    }

    /// <summary>Makes sure that a range of the header cluster is in <see cref="_bytes"/>.</summary>
    private void Need(int offset, int count, string what)
    {
        if (offset + count <= _bytes.Length) return;
        if (offset + count > _fileLength)
            throw Fail(Qcow2ErrorCode.Truncated, $"the file ends at {_fileLength}, within its {what}");
        _bytes = new byte[(int)Math.Min(1 << Limits.MaxClusterBits, _fileLength)];
        int read = _file.Read(0, _bytes);
        if (offset + count > read) throw Fail(Qcow2ErrorCode.Truncated, $"the file ends within its {what}");
    }

    private uint U32(int at) => BinaryPrimitives.ReadUInt32BigEndian(_bytes.AsSpan(at));

    private ulong U64(int at) => BinaryPrimitives.ReadUInt64BigEndian(_bytes.AsSpan(at));

    private long Offset(int at, string what)
    {
        ulong value = U64(at);
        return value < (ulong)Limits.MaxHostOffset ? (long)value : throw Invalid($"the offset {value} of its {what} is beyond 2^56");
    }

    private void Bound(uint value, long min, long max, string what)
    {
        if (value < min || value > max) throw Invalid($"its {what} is {value}; from {min} to {max} is possible");
    }

    private Qcow2Exception Invalid(string cause) => Fail(Qcow2ErrorCode.InvalidHeader, cause);

    private Qcow2Exception Unsupported(string feature) =>
        Fail(Qcow2ErrorCode.UnsupportedFeature, $"it uses {feature}, which is not supported");

    private Qcow2Exception Fail(Qcow2ErrorCode code, string cause) =>
        new(code, _file.Path, $"'{_file.Path}' cannot be used as a qcow2 image: {cause}.");
}
