using System.Text;
using SnapshotTools.IO;
using SnapshotTools.Testing.Files;

namespace SnapshotTools.Qcow2.Tests.Hostile;

/// <summary>An image that somebody made to harm: what it is, and how one operation on it must end.</summary>
public sealed record HostileImage(string Class, string Name, Func<MemoryFileSystem> Make, string Operation, Qcow2ErrorCode? Code)
{
    private const long Data = SampleImages.Data, Other = SampleImages.OtherTable, Packed = SampleImages.Compressed;

    public static IReadOnlyList<HostileImage> All { get; } =
        [.. ReachingElsewhere(), .. Sizes(), .. Offsets(), .. Features(), .. Tables(), .. Truncation(), .. Scale()];

    public override string ToString() => $"{Class}: {Name}";

    private static HostileImage On(string kind, string name, string sample, Action<ImageBytes> change, string operation, Qcow2ErrorCode? code) =>
        new(kind, name, () =>
        {
            ImageBytes image = SampleImages.Get(sample);
            change(image);
            return image.ToMemory();
        }, operation, code);

    /// <summary>Writes the name of a backing file behind the extensions and lets the header point to it.</summary>
    private static void Backing(ImageBytes image, string name)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(name);
        long place = image.ClusterSize - 2048;
        bytes.CopyTo(image.Bytes, place);
        image.SetU64(8, (ulong)place);
        image.SetU32(16, (uint)bytes.Length);
    }

    /// <summary>Puts extensions in place of those of the image.</summary>
    private static void Extensions(ImageBytes image, params (uint Type, byte[] Data)[] extensions)
    {
        long at = image.U32(100);
        image.Bytes.AsSpan((int)at, 1024).Clear();
        foreach ((uint type, byte[] data) in extensions)
        {
            image.SetU32(at, type);
            image.SetU32(at + 4, (uint)data.Length);
            data.CopyTo(image.Bytes, at + 8);
            at += 8 + ((data.Length + 7) & ~7);
        }
    }

    private static IEnumerable<HostileImage> ReachingElsewhere()
    {
        const string Kind = "reaching elsewhere";
        string[] names = ["/etc/shadow", "../../x", "a.qcow2", "./a.qcow2", "json:{\"driver\":\"qcow2\",\"file.filename\":\"/etc/shadow\"}", "nbd://host/x", "nbd:unix:/run/x:exportname=x",
            "http://host/x", "ssh://host/x", "/dev/sda", "/proc/self/mem", "fat:rw:/", "file:/etc/shadow", new string('x', 1023)];
        foreach (string name in names)
        {
            yield return On(Kind, $"backing file {name[..Math.Min(name.Length, 20)]}, opening", "plain", i => Backing(i, name), "open", null);
            yield return On(Kind, $"backing file {name[..Math.Min(name.Length, 20)]}, reading", "plain", i => Backing(i, name), "read", Qcow2ErrorCode.BackingNotAllowed);
        }
        yield return On(Kind, "backing name with NUL", "plain", i => Backing(i, "/etc/x\0y"), "open", Qcow2ErrorCode.InvalidHeader);
        yield return On(Kind, "backing name of 1024 bytes", "plain", i => Backing(i, new string('x', 1024)), "open", Qcow2ErrorCode.InvalidHeader);
        yield return On(Kind, "backing name of 2^32 - 1 bytes", "plain", i =>
        {
            Backing(i, "x");
            i.SetU32(16, uint.MaxValue);
        }, "open", Qcow2ErrorCode.InvalidHeader);
        yield return On(Kind, "backing name that is no UTF-8", "plain", i =>
        {
            Backing(i, "xx");
            i.Bytes[i.ClusterSize - 2048] = 0xFF;
        }, "open", Qcow2ErrorCode.InvalidHeader);
        byte[] dataFile = Encoding.ASCII.GetBytes("json:{\"driver\":\"file\",\"filename\":\"/etc/shadow\"}");
        yield return On(Kind, "external data file by its bit", "plain", i => i.SetU64(72, 4), "open", Qcow2ErrorCode.UnsupportedFeature);
        yield return On(Kind, "external data file by its extension", "plain", i => Extensions(i, (HeaderExtension.ExternalDataFile, dataFile)), "open", Qcow2ErrorCode.UnsupportedFeature);
        yield return On(Kind, "external data file by both", "plain", i =>
        {
            i.SetU64(72, 4);
            Extensions(i, (HeaderExtension.ExternalDataFile, dataFile));
        }, "open", Qcow2ErrorCode.UnsupportedFeature);
        yield return On(Kind, "raw external data bit alone", "plain", i => i.SetU64(88, 2), "open", Qcow2ErrorCode.UnsupportedFeature);
    }

    private static IEnumerable<HostileImage> Sizes()
    {
        const string Kind = "sizes";
        HostileImage Header(string name, Action<ImageBytes> change, Qcow2ErrorCode? code = Qcow2ErrorCode.InvalidHeader) => On(Kind, name, "plain", change, "open", code);

        yield return Header("virtual size 0", i => i.SetU64(24, 0), null);
        yield return Header("virtual size 2^63", i => i.SetU64(24, 1UL << 63));
        yield return Header("virtual size 2^63 - 512", i => i.SetU64(24, (1UL << 63) - 512));
        yield return Header("virtual size 2^64 - 1", i => i.SetU64(24, ulong.MaxValue));
        yield return Header("virtual size not in sectors", i => i.SetU64(24, 1_000_001));
        yield return Header("virtual size beyond the L1 table", i => i.SetU64(24, 1UL << 40));
        foreach (uint bits in new uint[] { 0, 8, 22, 31, 32, 63, 64, uint.MaxValue }) yield return Header($"cluster bits {bits}", i => i.SetU32(20, bits));
        foreach (uint order in new uint[] { 7, 31, uint.MaxValue }) yield return Header($"refcount order {order}", i => i.SetU32(96, order));
        foreach (uint length in new uint[] { 0, 72, 103, 105, 4104, uint.MaxValue }) yield return Header($"header length {length}", i => i.SetU32(100, length));
        yield return Header("L1 of 2^31 entries", i => i.SetU32(36, 1U << 31));
        yield return Header("L1 of 0 entries", i => i.SetU32(36, 0));
        yield return Header("L1 of the most entries, past the end", i => i.SetU32(36, 4 << 20), Qcow2ErrorCode.Truncated);
        yield return Header("refcount table of 2^32 - 1 clusters", i => i.SetU32(56, uint.MaxValue));
        yield return Header("refcount table of 0 clusters", i => i.SetU32(56, 0));
        yield return Header("refcount table of the most clusters, past the end", i => i.SetU32(56, (8 << 20) / 4096), Qcow2ErrorCode.Truncated);
        yield return Header("2^31 snapshots", i => i.SetU32(60, 1U << 31));
        yield return On(Kind, "65536 snapshots in a short file", "snapshots", i => i.SetU32(60, 65536), "open", Qcow2ErrorCode.Truncated);
        yield return On(Kind, "snapshot name past the table", "snapshots", i => i.SetU16(i.SnapshotsOffset + 14, ushort.MaxValue), "snapshots", Qcow2ErrorCode.Truncated);
        yield return On(Kind, "snapshot id past the table", "snapshots", i => i.SetU16(i.SnapshotsOffset + 12, ushort.MaxValue), "snapshots", Qcow2ErrorCode.Truncated);
        yield return On(Kind, "snapshot extra data of 2^32 - 1 bytes", "snapshots", i => i.SetU32(i.SnapshotsOffset + 36, uint.MaxValue), "snapshots", Qcow2ErrorCode.InvalidTable);
        yield return On(Kind, "snapshot disk of 2^64 - 1 bytes", "snapshots", i => i.SetU64(i.SnapshotsOffset + 48, ulong.MaxValue), "snapshots", Qcow2ErrorCode.InvalidTable);
        yield return On(Kind, "snapshot disk beyond its L1 table", "snapshots", i => i.SetU64(i.SnapshotsOffset + 48, 1UL << 50), "snapshots", Qcow2ErrorCode.InvalidTable);
        yield return On(Kind, "snapshot L1 of 2^32 - 1 entries", "snapshots", i => i.SetU32(i.SnapshotsOffset + 8, uint.MaxValue), "snapshots", Qcow2ErrorCode.InvalidTable);
        foreach (uint length in new uint[] { 4096, 1 << 20, int.MaxValue, uint.MaxValue - 7, uint.MaxValue })
        {
            yield return Header($"extension of {length} bytes", i =>
            {
                Extensions(i, (0x12345678, new byte[8]));
                i.SetU32(i.U32(100) + 4, length);
            });
        }
        yield return Header("feature names of odd length", i => Extensions(i, (HeaderExtension.FeatureNames, new byte[47])), null);
        yield return On(Kind, "bitmaps extension too short", "plain", i => Extensions(i, (HeaderExtension.Bitmaps, new byte[8])), "bitmaps", Qcow2ErrorCode.InvalidHeader);
        yield return On(Kind, "bitmaps announced and missing", "plain", i => i.SetU64(88, 1), "bitmaps", Qcow2ErrorCode.InvalidHeader);
    }

    private static IEnumerable<HostileImage> Offsets()
    {
        const string Kind = "offsets";
        foreach ((string table, long field) in new[] { ("L1 table", 40L), ("refcount table", 48L) })
        {
            yield return On(Kind, $"{table} unaligned", "plain", i => i.SetU64(field, i.U64(field) + 512), "open", Qcow2ErrorCode.InvalidHeader);
            yield return On(Kind, $"{table} in the header", "plain", i => i.SetU64(field, 0), "open", Qcow2ErrorCode.InvalidHeader);
            yield return On(Kind, $"{table} past the end", "plain", i => i.SetU64(field, 1UL << 50), "open", Qcow2ErrorCode.Truncated);
            yield return On(Kind, $"{table} at 2^63", "plain", i => i.SetU64(field, 1UL << 63), "open", Qcow2ErrorCode.InvalidHeader);
            yield return On(Kind, $"{table} at 2^64 - 4096", "plain", i => i.SetU64(field, ulong.MaxValue - 4095), "open", Qcow2ErrorCode.InvalidHeader);
        }
        yield return On(Kind, "two tables in one place", "plain", i => i.SetU64(40, i.U64(48)), "open", Qcow2ErrorCode.InvalidHeader);
        yield return On(Kind, "backing name far away", "plain", i =>
        {
            Backing(i, "x");
            i.SetU64(8, 1UL << 40);
        }, "open", Qcow2ErrorCode.InvalidHeader);
        yield return On(Kind, "data cluster past the end", "plain", i => i.SetU64(i.L2Place(Data), ImageBytes.Copied | 1UL << 40), "read", Qcow2ErrorCode.Truncated);
        yield return On(Kind, "data cluster unaligned", "plain", i => i.SetU64(i.L2Place(Data), i.U64(i.L2Place(Data)) + 512), "read", Qcow2ErrorCode.InvalidTable);
        yield return On(Kind, "L2 table past the end", "plain", i => i.SetU64(i.L1Place(Data), 1UL << 40), "read", Qcow2ErrorCode.Truncated);
        yield return On(Kind, "L2 table unaligned", "plain", i => i.SetU64(i.L1Place(Data), i.U64(i.L1Place(Data)) + 512), "read", Qcow2ErrorCode.InvalidTable);
        yield return On(Kind, "L2 table is the L1 table", "plain", i => i.SetU64(i.L1Place(Data), (ulong)i.L1Offset), "check", null);
        yield return On(Kind, "L2 table in the header", "plain", i => i.SetU64(i.L1Place(Data), 512), "read", Qcow2ErrorCode.InvalidTable);
        yield return On(Kind, "snapshot L1 past the end", "snapshots", i => i.SetU64(i.SnapshotsOffset, 1UL << 40), "snapshots", Qcow2ErrorCode.Truncated);
        yield return On(Kind, "snapshot L1 at 2^60", "snapshots", i => i.SetU64(i.SnapshotsOffset, 1UL << 60), "snapshots", Qcow2ErrorCode.InvalidTable);
        yield return On(Kind, "snapshot L1 unaligned", "snapshots", i => i.SetU64(i.SnapshotsOffset, i.U64(i.SnapshotsOffset) + 8), "snapshots", Qcow2ErrorCode.InvalidTable);
        yield return On(Kind, "compressed data past the end", "plain", i => i.SetU64(i.L2Place(Packed), ImageBytes.CompressedFlag | 1UL << 40), "read", Qcow2ErrorCode.Truncated);
        yield return On(Kind, "compressed data that ends past the end", "plain", i => i.SetU64(i.L2Place(Packed), (ImageBytes.CompressedFlag | 0xFUL << 58) + (ulong)i.Copy().Append(1) - 600), "read", Qcow2ErrorCode.Truncated);
        yield return On(Kind, "compressed data in the header", "plain", i => i.SetU64(i.L2Place(Packed), ImageBytes.CompressedFlag | 1), "read", Qcow2ErrorCode.InvalidTable);
        yield return On(Kind, "reserved bits in L1", "plain", i => i.SetU64(i.L1Place(Data), i.U64(i.L1Place(Data)) | 1UL << 57), "read", Qcow2ErrorCode.InvalidTable);
        yield return On(Kind, "reserved bits in L2", "plain", i => i.SetU64(i.L2Place(Data), i.U64(i.L2Place(Data)) | 1UL << 57), "read", Qcow2ErrorCode.InvalidTable);
        yield return On(Kind, "bitmap directory past the end", "bitmaps", i => i.SetU64(FindExtension(i, HeaderExtension.Bitmaps) + 16, 1UL << 40), "bitmaps", Qcow2ErrorCode.Truncated);
        yield return On(Kind, "bitmap directory at 2^63", "bitmaps", i => i.SetU64(FindExtension(i, HeaderExtension.Bitmaps) + 16, 1UL << 63), "bitmaps", Qcow2ErrorCode.InvalidHeader);
        yield return On(Kind, "bitmap directory of 2^64 - 1 bytes", "bitmaps", i => i.SetU64(FindExtension(i, HeaderExtension.Bitmaps) + 8, ulong.MaxValue), "bitmaps", Qcow2ErrorCode.InvalidHeader);
    }

    private static long FindExtension(ImageBytes image, uint type)
    {
        long at = image.U32(100);
        while (image.U32(at) != type) at += 8 + ((image.U32(at + 4) + 7) & ~7u);
        return at + 8;
    }

    private static IEnumerable<HostileImage> Features()
    {
        const string Kind = "features";
        for (int bit = 5; bit < 64; bit += 29) yield return On(Kind, $"unknown incompatible bit {bit}", "plain", i => i.SetU64(72, 1UL << bit), "open", Qcow2ErrorCode.UnsupportedFeature);
        foreach (uint method in new uint[] { 1, 2, 3, uint.MaxValue }) yield return On(Kind, $"encryption {method}", "plain", i => i.SetU32(32, method), "open", Qcow2ErrorCode.UnsupportedFeature);
        yield return On(Kind, "encryption header alone", "plain", i => Extensions(i, (HeaderExtension.Encryption, new byte[16])), "open", Qcow2ErrorCode.UnsupportedFeature);
        yield return On(Kind, "compression type 200", "zstd", i => i.Bytes[104] = 200, "open", Qcow2ErrorCode.UnsupportedFeature);
        yield return On(Kind, "compression type without its bit", "plain", i => i.Bytes[104] = 1, "open", Qcow2ErrorCode.InvalidHeader);
        yield return On(Kind, "extended L2 with clusters of 4096", "plain", i => i.SetU64(72, 16), "open", Qcow2ErrorCode.InvalidHeader);
        yield return On(Kind, "zstd read as zlib", "zstd", i =>
        {
            i.SetU64(72, 0);
            i.Bytes[104] = 0;
        }, "read", Qcow2ErrorCode.InvalidCompressedData);
        yield return On(Kind, "subcluster both data and zero", "extended", i => i.SetU64(i.L2Place(Data) + 8, 1 | 1UL << 32), "read", Qcow2ErrorCode.InvalidTable);
        yield return On(Kind, "subclusters of data without a cluster", "extended", i =>
        {
            i.SetU64(i.L2Place(Data), 0);
            i.SetU64(i.L2Place(Data) + 8, 1);
        }, "read", Qcow2ErrorCode.InvalidTable);
        yield return On(Kind, "zero flag in version 2", "v2", i => i.SetU64(i.L2Place(Data), i.U64(i.L2Place(Data)) | 1), "read", Qcow2ErrorCode.InvalidTable);
        yield return On(Kind, "version 2 with version 3's fields", "plain", i =>
        {
            i.SetU32(4, 2);
            i.SetU64(72, 0xE2792ACA_FFFFFFFF);
        }, "open", Qcow2ErrorCode.InvalidHeader);
    }

    private static IEnumerable<HostileImage> Tables()
    {
        const string Kind = "counts";
        yield return On(Kind, "all counts 0", "plain", i => i.Bytes.AsSpan((int)i.U64(i.RefcountTablePlace(0)), i.ClusterSize).Clear(), "repair", null);
        yield return On(Kind, "all counts at their largest", "plain", i => i.Bytes.AsSpan((int)i.U64(i.RefcountTablePlace(0)), i.ClusterSize).Fill(0xFF), "repair", null);
        yield return On(Kind, "all counts of 64 bits at their largest", "refcount64", i => i.Bytes.AsSpan((int)i.U64(i.RefcountTablePlace(0)), i.ClusterSize).Fill(0xFF), "repair", null);
        yield return On(Kind, "a refcount table of noise", "plain", i => new Random(1).NextBytes(i.Bytes.AsSpan((int)i.RefcountTableOffset, i.ClusterSize)), "repair", null);
        yield return On(Kind, "an L1 table of noise", "plain", i => new Random(2).NextBytes(i.Bytes.AsSpan((int)i.L1Offset, i.L1Entries * 8)), "repair", null);
        yield return On(Kind, "all L1 entries the same table", "plain", i =>
        {
            for (int n = 0; n < i.L1Entries; n++) i.SetU64(i.L1Offset + (n * 8L), i.U64(i.L1Offset));
        }, "repair", null);
        yield return On(Kind, "all refcount blocks the same", "plain", i =>
        {
            for (int n = 0; n < i.ClusterSize / 8; n++) i.SetU64(i.RefcountTablePlace(n), i.U64(i.RefcountTablePlace(0)));
        }, "repair", null);
        yield return On(Kind, "all entries the same compressed data", "plain", i =>
        {
            ulong entry = i.U64(i.L2Place(Packed));
            for (int n = 0; n < i.ClusterSize / 8; n++) i.SetU64(i.L2Table(Other) + (n * 8L), entry);
        }, "repair", null);
    }

    private static IEnumerable<HostileImage> Truncation()
    {
        const string Kind = "truncation";
        HostileImage Cut(string name, string sample, Func<ImageBytes, long> length, string operation, Qcow2ErrorCode? code) =>
            On(Kind, name, sample, i => i.Truncate(length(i)), operation, code);

        yield return Cut("empty", "plain", _ => 0, "open", Qcow2ErrorCode.NotQcow2);
        yield return Cut("7 bytes", "plain", _ => 7, "open", Qcow2ErrorCode.NotQcow2);
        foreach (int length in new[] { 8, 71, 72, 103, 104, 111, 112, 512, 4095, 4096 })
            yield return Cut($"{length} bytes", "plain", _ => length, "open", Qcow2ErrorCode.Truncated);
        yield return Cut("before the L1 table", "plain", i => i.L1Offset, "open", Qcow2ErrorCode.Truncated);
        yield return Cut("within the L1 table", "plain", i => i.L1Offset + 8, "open", Qcow2ErrorCode.Truncated);
        yield return Cut("before an L2 table", "plain", i => i.L2Table(Data), "read", Qcow2ErrorCode.Truncated);
        yield return Cut("within an L2 table", "plain", i => i.L2Table(Data) + 8, "read", Qcow2ErrorCode.Truncated);
        yield return Cut("before data", "plain", i => i.DataCluster(Data), "read", Qcow2ErrorCode.Truncated);
        yield return Cut("within the snapshot table", "snapshots", i => i.SnapshotsOffset + 100, "snapshots", Qcow2ErrorCode.Truncated);
    }

    private static IEnumerable<HostileImage> Scale()
    {
        const string Kind = "scale";
        // The map and the check must not take time or memory by what is merely claimed.
        yield return new(Kind, "sparse file of 16 TiB with the largest L1 table, all hole", () => Sparse(9, 4 << 20, []), "repair", null);
        yield return new(Kind, "sparse file of 16 TiB, one L2 table, entries all over it", () => Sparse(9, 4 << 20, [.. Enumerable.Range(0, 64).Select(n => ImageBytes.Copied | ((ulong)(n + 1) << 38))]), "check", null);
        yield return new(Kind, "a quarter of a million times one L2 table without two entries alike", OneTableForAll, "map", Qcow2ErrorCode.InvalidTable);
        yield return new(Kind, "clusters of 2 MiB, the largest L1 table", () => Sparse(21, 4 << 20, []), "map", null);
    }

    /// <summary>Walked entry by entry it would take hours.</summary>
    private static MemoryFileSystem OneTableForAll()
    {
        const int tables = 1 << 18;
        MemoryFileSystem files = Sparse(16, tables, [.. Enumerable.Range(0, 8192).Select(n => n % 2 == 0 ? 1UL : 0)]);
        using IBlockFile file = files.Open("/a.qcow2", FileOpenMode.ReadWrite);
        byte[] l1 = new byte[tables * 8];
        for (int i = 0; i < tables; i++) System.Buffers.Binary.BinaryPrimitives.WriteUInt64BigEndian(l1.AsSpan(i * 8), 1UL << 32);
        file.Write(1L << 30, l1);
        return files;
    }

    /// <summary>An enormous file with nothing in it but a header and, where entries are given, one L2 table.</summary>
    private static MemoryFileSystem Sparse(int clusterBits, int l1Entries, ulong[] l2Entries)
    {
        long cluster = 1L << clusterBits;
        var header = new ImageBytes(new byte[512]);
        header.SetU32(0, 0x514649FB);
        header.SetU32(4, 3);
        header.SetU32(20, (uint)clusterBits);
        header.SetU64(24, (ulong)Math.Min(l1Entries * (cluster / 8) * cluster, long.MaxValue - 511));
        header.SetU32(36, (uint)l1Entries);
        header.SetU64(40, 1UL << 30);
        header.SetU64(48, 1UL << 31);
        header.SetU32(56, 1);
        header.SetU32(96, 4);
        header.SetU32(100, 104);
        var files = new MemoryFileSystem();
        using IBlockFile file = files.Create("/a.qcow2");
        file.Write(0, header.Bytes);
        file.SetLength(16L << 40);
        if (l2Entries.Length == 0) return files;
        byte[] word = new byte[8];
        void Put(long offset, ulong value)
        {
            System.Buffers.Binary.BinaryPrimitives.WriteUInt64BigEndian(word, value);
            file.Write(offset, word);
        }
        Put(1L << 30, 1UL << 32);
        for (int i = 0; i < l2Entries.Length; i++) Put((1L << 32) + (i * 8L), l2Entries[i]);
        return files;
    }
}
