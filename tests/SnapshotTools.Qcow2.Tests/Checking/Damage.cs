using SnapshotTools.Qcow2.Tests.Hostile;

namespace SnapshotTools.Qcow2.Tests.Checking;

/// <summary>What qemu-img check makes of a damaged image.</summary>
public enum QemuVerdict
{
    Clean,
    Leaks,
    Corrupt,

    /// <summary>qemu-img cannot even open or check it.</summary>
    Refused,
}

/// <summary>A kind of damage: how it is done, what our check must find, and what qemu-img (7.2) says.</summary>
public sealed record Damage(string Name, string Sample, Action<ImageBytes> Do, CheckFindingKind[] Finds, QemuVerdict Qemu)
{
    /// <summary>Why our verdict is a harder one than QEMU's, where it is.</summary>
    public string? Better { get; init; }

    /// <summary>The code with which our check refuses the image, where it does not look at the tables at all.</summary>
    public Qcow2ErrorCode? Refused { get; init; }

    /// <summary>Set where a guest reads a table as its data, which a repair of that table changes.</summary>
    public bool ShowsTables { get; init; }

    public override string ToString() => Name;

    public static IReadOnlyList<Damage> All { get; } = [.. Counts(), .. Mapping(), .. RefcountTables(), .. CompressedData(), .. Subclusters(), .. SnapshotTables(), .. Bitmaps(), .. Header()];

    private const long Data = SampleImages.Data, Other = SampleImages.OtherTable, Zero = SampleImages.Zero, Packed = SampleImages.Compressed;

    private static IEnumerable<Damage> Counts()
    {
        yield return new("used cluster counted 0 times", "plain", i => i.SetRefcount(i.DataCluster(Data), 0), [CheckFindingKind.RefcountTooLow, CheckFindingKind.CopiedFlag], QemuVerdict.Corrupt);
        yield return new("used cluster counted twice", "plain", i => i.SetRefcount(i.DataCluster(Data), 2), [CheckFindingKind.RefcountTooHigh, CheckFindingKind.CopiedFlag], QemuVerdict.Corrupt);
        yield return new("L2 table counted 0 times", "plain", i => i.SetRefcount(i.L2Table(Data), 0), [CheckFindingKind.RefcountTooLow, CheckFindingKind.CopiedFlag], QemuVerdict.Corrupt);
        yield return new("header counted 0 times", "plain", i => i.SetRefcount(0, 0), [CheckFindingKind.RefcountTooLow], QemuVerdict.Corrupt);
        yield return new("refcount block counted 0 times", "plain", i => i.SetRefcount((long)i.U64(i.RefcountTablePlace(0)), 0), [CheckFindingKind.RefcountTooLow], QemuVerdict.Corrupt);
        yield return new("leak by a lost L2 entry", "plain", i => i.SetU64(i.L2Place(Data), 0), [CheckFindingKind.LeakedCluster], QemuVerdict.Leaks);
        yield return new("leak by a lost L1 entry", "plain", i => i.SetU64(i.L1Place(Other), 0), [CheckFindingKind.LeakedCluster], QemuVerdict.Leaks);
        yield return new("leak by a lost compressed entry", "plain", i => i.SetU64(i.L2Place(Packed), 0), [CheckFindingKind.RefcountTooHigh], QemuVerdict.Leaks);
        yield return new("leak in a 1-bit count", "refcount1", i => i.SetU64(i.L2Place(Data), 0), [CheckFindingKind.LeakedCluster], QemuVerdict.Leaks);
        yield return new("leak past the end of the file", "plain", i => i.SetRefcount(i.Bytes.Length + (100L * i.ClusterSize), 1), [CheckFindingKind.LeakedCluster], QemuVerdict.Clean)
        { Better = "QEMU looks only at clusters within the file; the space would be lost when the file grows there" };
        yield return new("count at its largest", "refcount64", i => i.SetRefcount(i.DataCluster(Data), ulong.MaxValue), [CheckFindingKind.RefcountTooHigh, CheckFindingKind.CopiedFlag], QemuVerdict.Corrupt);
        yield return new("more references than the count can say", "refcount1", i => i.SetU64(i.L2Place(Data), i.U64(i.L2Place(Other))), [CheckFindingKind.RefcountOverflow, CheckFindingKind.LeakedCluster], QemuVerdict.Corrupt);
        yield return new("all counts 0", "plain", i => i.Bytes.AsSpan((int)i.U64(i.RefcountTablePlace(0)), i.ClusterSize).Clear(), [CheckFindingKind.RefcountTooLow, CheckFindingKind.CopiedFlag], QemuVerdict.Corrupt);
        yield return new("copied flag lost", "plain", i => i.SetU64(i.L2Place(Data), i.U64(i.L2Place(Data)) & ~ImageBytes.Copied), [CheckFindingKind.CopiedFlag], QemuVerdict.Corrupt);
        yield return new("copied flag lost in L1", "plain", i => i.SetU64(i.L1Place(Data), i.U64(i.L1Place(Data)) & ~ImageBytes.Copied), [CheckFindingKind.CopiedFlag], QemuVerdict.Corrupt);
        yield return new("copied flag on a shared cluster", "snapshots", i => i.SetU64(i.L2Place(Other), i.U64(i.L2Place(Other)) | ImageBytes.Copied), [CheckFindingKind.CopiedFlag], QemuVerdict.Corrupt);
        yield return new("copied flag on a shared L2 table", "snapshots", i => i.SetU64(i.L1Place(Other), i.U64(i.L1Place(Other)) | ImageBytes.Copied), [CheckFindingKind.CopiedFlag], QemuVerdict.Corrupt);
    }

    private static IEnumerable<Damage> Mapping()
    {
        yield return new("data cluster unaligned", "plain", i => i.SetU64(i.L2Place(Data), i.U64(i.L2Place(Data)) + 512), [CheckFindingKind.Unaligned, CheckFindingKind.RefcountTooLow], QemuVerdict.Corrupt);
        yield return new("data cluster past the end", "plain", i => i.SetU64(i.L2Place(Data), ImageBytes.Copied | 1UL << 40), [CheckFindingKind.OutOfFile, CheckFindingKind.LeakedCluster], QemuVerdict.Corrupt);
        yield return new("data cluster just past the end", "plain", i => i.SetU64(i.L2Place(Data), ImageBytes.Copied | (ulong)i.Copy().Append(1)), [CheckFindingKind.OutOfFile, CheckFindingKind.LeakedCluster], QemuVerdict.Corrupt);
        yield return new("data cluster at the format's limit", "plain", i => i.SetU64(i.L2Place(Data), ImageBytes.Copied | (1UL << 56) - 4096), [CheckFindingKind.OutOfFile, CheckFindingKind.LeakedCluster], QemuVerdict.Corrupt);
        yield return new("two entries for one cluster", "plain", i => i.SetU64(i.L2Place(Data), i.U64(i.L2Place(Data + 4096))), [CheckFindingKind.RefcountTooLow, CheckFindingKind.LeakedCluster], QemuVerdict.Corrupt);
        yield return new("data in the header", "plain", i => Share(i, i.L2Place(Data), 0x1UL << 63), [CheckFindingKind.ReservedBits], QemuVerdict.Leaks)
        { Better = "QEMU takes the flag without an offset as unallocated" };
        yield return new("data cluster is the L1 table, counted", "plain", i => Share(i, i.L2Place(Data), (ulong)i.L1Offset), [CheckFindingKind.Overlap], QemuVerdict.Leaks)
        { Better = "QEMU compares counts alone; a write to the guest would destroy the table" };
        yield return new("data cluster is an L2 table, counted", "plain", i => Share(i, i.L2Place(Data), (ulong)i.L2Table(Other)), [CheckFindingKind.Overlap, CheckFindingKind.CopiedFlag], QemuVerdict.Corrupt);
        yield return new("data cluster is compressed data, counted", "plain", i => Share(i, i.L2Place(Data), i.U64(i.L2Place(Packed)) & 0x3FFF_FFFF_FFFF & ~0xFFFUL), [CheckFindingKind.Overlap], QemuVerdict.Leaks)
        { Better = "QEMU compares counts alone" };
        yield return new("L1 entry points to the L1 table", "plain", i => i.SetU64(i.L1Place(Data), ImageBytes.Copied | (ulong)i.L1Offset), [CheckFindingKind.Overlap], QemuVerdict.Corrupt) { ShowsTables = true };
        yield return new("L1 entry points to the refcount table", "plain", i => i.SetU64(i.L1Place(Data), ImageBytes.Copied | (ulong)i.RefcountTableOffset), [CheckFindingKind.Overlap], QemuVerdict.Corrupt) { ShowsTables = true };
        yield return new("L1 entry points to the other L2 table", "plain", i => i.SetU64(i.L1Place(Data), i.U64(i.L1Place(Other))), [CheckFindingKind.RefcountTooLow, CheckFindingKind.LeakedCluster], QemuVerdict.Corrupt);
        yield return new("L1 entry unaligned", "plain", i => i.SetU64(i.L1Place(Data), i.U64(i.L1Place(Data)) + 512), [CheckFindingKind.Unaligned], QemuVerdict.Corrupt);
        yield return new("L1 entry past the end", "plain", i => i.SetU64(i.L1Place(Data), ImageBytes.Copied | 1UL << 40), [CheckFindingKind.OutOfFile], QemuVerdict.Corrupt);
        yield return new("L1 entry with reserved bits", "plain", i => i.SetU64(i.L1Place(Data), i.U64(i.L1Place(Data)) | 1UL << 60), [CheckFindingKind.ReservedBits], QemuVerdict.Corrupt);
        yield return new("L2 entry with reserved bits", "plain", i => i.SetU64(i.L2Place(Data), i.U64(i.L2Place(Data)) | 1UL << 60), [CheckFindingKind.ReservedBits], QemuVerdict.Corrupt);
        yield return new("zero flag in version 2", "v2", i => i.SetU64(i.L2Place(Data), i.U64(i.L2Place(Data)) | 1), [CheckFindingKind.ReservedBits], QemuVerdict.Clean)
        { Better = "reading it is an error, with QEMU also" };
        yield return new("zero cluster that keeps an unaligned cluster", "plain", i => i.SetU64(i.L2Place(Zero), ImageBytes.Copied | 1 | 0x600), [CheckFindingKind.Unaligned, CheckFindingKind.Overlap], QemuVerdict.Corrupt);
        yield return new("L2 table of noise", "plain", i => new Random(5).NextBytes(i.Bytes.AsSpan((int)i.L2Table(Data), i.ClusterSize)), [CheckFindingKind.ReservedBits, CheckFindingKind.OutOfFile, CheckFindingKind.Unaligned], QemuVerdict.Corrupt);
    }

    /// <summary>Sets an L2 entry and raises the count of the cluster that it then shares, as if both were meant.</summary>
    private static void Share(ImageBytes image, long place, ulong entry)
    {
        image.SetU64(place, entry);
        long host = (long)(entry & ImageBytes.OffsetMask);
        if (host != 0) image.SetRefcount(host, image.Refcount(host) + 1);
    }

    private static IEnumerable<Damage> RefcountTables()
    {
        yield return new("refcount block unaligned", "plain", i => i.SetU64(i.RefcountTablePlace(0), i.U64(i.RefcountTablePlace(0)) + 512), [CheckFindingKind.RefcountTable], QemuVerdict.Refused);
        yield return new("refcount block past the end", "plain", i => i.SetU64(i.RefcountTablePlace(0), 1UL << 30), [CheckFindingKind.RefcountTable], QemuVerdict.Corrupt);
        yield return new("refcount block with reserved bits", "plain", i => i.SetU64(i.RefcountTablePlace(0), i.U64(i.RefcountTablePlace(0)) | 3), [CheckFindingKind.RefcountTable], QemuVerdict.Corrupt);
        yield return new("refcount block missing", "plain", i => i.SetU64(i.RefcountTablePlace(0), 0), [CheckFindingKind.RefcountTooLow], QemuVerdict.Corrupt);
        yield return new("refcount block twice", "plain", i => i.SetU64(i.RefcountTablePlace(1), i.U64(i.RefcountTablePlace(0))), [CheckFindingKind.RefcountTable], QemuVerdict.Corrupt);
        yield return new("refcount block is the L1 table", "plain", i => i.SetU64(i.RefcountTablePlace(1), (ulong)i.L1Offset), [CheckFindingKind.RefcountTable], QemuVerdict.Corrupt);
        yield return new("refcount block is an L2 table", "plain", i => i.SetU64(i.RefcountTablePlace(1), (ulong)i.L2Table(Data)), [CheckFindingKind.RefcountTable], QemuVerdict.Corrupt);
    }

    private static IEnumerable<Damage> CompressedData()
    {
        yield return new("compressed data past the end", "plain", i => i.SetU64(i.L2Place(Packed), ImageBytes.CompressedFlag | 1UL << 40), [CheckFindingKind.OutOfFile], QemuVerdict.Corrupt);
        yield return new("compressed data that ends past the end", "plain", i => i.SetU64(i.L2Place(Packed), (ImageBytes.CompressedFlag | 0xFUL << 58) + (ulong)i.Copy().Append(1) - 600), [CheckFindingKind.OutOfFile], QemuVerdict.Corrupt);
        yield return new("compressed with the copied flag", "plain", i => i.SetU64(i.L2Place(Packed), i.U64(i.L2Place(Packed)) | ImageBytes.Copied), [CheckFindingKind.CopiedFlag], QemuVerdict.Corrupt);
        yield return new("compressed offset beyond 2^56", "tiny clusters", i => i.SetU64(i.L2Place(Packed), ImageBytes.CompressedFlag | 1UL << 57), [CheckFindingKind.ReservedBits], QemuVerdict.Corrupt);
        yield return new("compressed data is the L1 table, counted", "plain", i =>
        {
            i.SetU64(i.L2Place(Packed), ImageBytes.CompressedFlag | (ulong)i.L1Offset);
            i.SetRefcount(i.L1Offset, 2);
        }, [CheckFindingKind.Overlap], QemuVerdict.Leaks)
        { Better = "QEMU compares counts alone" };
    }

    private static IEnumerable<Damage> Subclusters()
    {
        yield return new("subcluster both data and zero", "extended", i => i.SetU64(i.L2Place(Data) + 8, 1UL | 1UL << 32), [CheckFindingKind.ReservedBits], QemuVerdict.Corrupt);
        yield return new("subclusters of data without a cluster", "extended", i => i.SetU64(i.L2Place(Zero) + 8, 1UL), [CheckFindingKind.ReservedBits], QemuVerdict.Corrupt);
        yield return new("zero flag in an extended entry", "extended", i => i.SetU64(i.L2Place(Data), i.U64(i.L2Place(Data)) | 1), [CheckFindingKind.ReservedBits], QemuVerdict.Clean)
        { Better = "the specification wants the bit clear; QEMU does not look" };
        yield return new("compressed with subclusters", "extended", i => i.SetU64(i.L2Place(Packed) + 8, 1UL), [CheckFindingKind.ReservedBits], QemuVerdict.Corrupt);
    }

    private static IEnumerable<Damage> SnapshotTables()
    {
        yield return new("snapshot's L1 table is the active one", "snapshots", i => i.SetU64(i.SnapshotsOffset, (ulong)i.L1Offset), [CheckFindingKind.Overlap, CheckFindingKind.LeakedCluster], QemuVerdict.Corrupt);
        yield return new("snapshot's L1 table unaligned", "snapshots", i => i.SetU64(i.SnapshotsOffset, i.U64(i.SnapshotsOffset) + 512), [CheckFindingKind.Unaligned], QemuVerdict.Corrupt);
        yield return new("snapshot's L1 table past the end", "snapshots", i => i.SetU64(i.SnapshotsOffset, 1UL << 40), [CheckFindingKind.OutOfFile], QemuVerdict.Corrupt);
        yield return new("snapshot's L1 table too large", "snapshots", i => i.SetU32(i.SnapshotsOffset + 8, uint.MaxValue), [CheckFindingKind.SnapshotTable], QemuVerdict.Corrupt);
        yield return new("snapshot with too much extra data", "snapshots", i => i.SetU32(i.SnapshotsOffset + 36, 1 << 20), [CheckFindingKind.SnapshotTable], QemuVerdict.Refused);
        yield return new("snapshot name past the end", "snapshots", i => i.SetU16(i.SnapshotsOffset + 14, ushort.MaxValue), [CheckFindingKind.SnapshotTable], QemuVerdict.Corrupt);
        yield return new("one snapshot less", "snapshots", i => i.SetU32(60, 1), [CheckFindingKind.RefcountTooHigh, CheckFindingKind.LeakedCluster], QemuVerdict.Leaks);
    }

    private static long BitmapExtension(ImageBytes image)
    {
        long at = image.U32(100);
        while (image.U32(at) != HeaderExtension.Bitmaps) at += 8 + ((image.U32(at + 4) + 7) & ~7u);
        return at + 8;
    }

    private static long BitmapDirectory(ImageBytes image) => (long)image.U64(BitmapExtension(image) + 16);

    private static IEnumerable<Damage> Bitmaps()
    {
        yield return new("bitmap directory past the end", "bitmaps", i => i.SetU64(BitmapExtension(i) + 16, 1UL << 40), [CheckFindingKind.Bitmaps], QemuVerdict.Refused);
        yield return new("bitmap directory too long", "bitmaps", i => i.SetU64(BitmapExtension(i) + 8, ulong.MaxValue), [CheckFindingKind.Bitmaps], QemuVerdict.Refused);
        yield return new("bitmap count wrong", "bitmaps", i => i.SetU32(BitmapExtension(i), 3), [CheckFindingKind.Bitmaps], QemuVerdict.Refused);
        yield return new("bitmap table past the end", "bitmaps", i => i.SetU64(BitmapDirectory(i), 1UL << 30), [CheckFindingKind.OutOfFile], QemuVerdict.Corrupt);
        yield return new("bitmap table entries impossible", "bitmaps", i => i.SetU32(BitmapDirectory(i) + 8, uint.MaxValue), [CheckFindingKind.Bitmaps], QemuVerdict.Refused);
        yield return new("bitmap table entry with reserved bits", "bitmaps", i => i.SetU64((long)i.U64(BitmapDirectory(i)), 1UL << 60), [CheckFindingKind.ReservedBits], QemuVerdict.Refused);
        yield return new("bitmap of an unknown type", "bitmaps", i => i.Bytes[BitmapDirectory(i) + 16] = 7, [CheckFindingKind.Bitmaps], QemuVerdict.Refused);
        yield return new("bitmaps left behind by a writer that knows none", "bitmaps", i => i.SetU64(88, 0), [CheckFindingKind.LeakedCluster], QemuVerdict.Leaks);
    }

    private static IEnumerable<Damage> Header()
    {
        yield return new("dirty bit", "plain", i => i.SetU64(72, i.U64(72) | 1), [CheckFindingKind.DirtyBit], QemuVerdict.Clean)
        { Better = "the image cannot be written before it is repaired; QEMU's check does not say so" };
        yield return new("corrupt bit", "plain", i => i.SetU64(72, i.U64(72) | 2), [CheckFindingKind.CorruptBit], QemuVerdict.Clean)
        { Better = "the image cannot be written before it is repaired; QEMU's check does not say so" };
        yield return new("unknown feature", "plain", i => i.SetU64(72, 1UL << 63), [], QemuVerdict.Refused) { Refused = Qcow2ErrorCode.UnsupportedFeature };
        yield return new("L1 table past the end", "plain", i => i.SetU64(40, 1UL << 40), [], QemuVerdict.Corrupt) { Refused = Qcow2ErrorCode.Truncated };
        yield return new("refcount table past the end", "plain", i => i.SetU64(48, 1UL << 40), [CheckFindingKind.RefcountTable], QemuVerdict.Corrupt);
        yield return new("cut to half", "plain", i => i.Truncate(i.Bytes.Length / 2 & ~511), [CheckFindingKind.OutOfFile], QemuVerdict.Corrupt);
    }
}
