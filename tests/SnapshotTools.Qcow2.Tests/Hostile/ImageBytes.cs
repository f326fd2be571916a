using System.Buffers.Binary;
using SnapshotTools.Testing.Files;

namespace SnapshotTools.Qcow2.Tests.Hostile;

/// <summary>The bytes of a small image, to be damaged. It follows the tables by its own simple means, not by those of the library.</summary>
public sealed class ImageBytes(byte[] bytes)
{
    public const ulong Copied = 1UL << 63;
    public const ulong CompressedFlag = 1UL << 62;
    public const ulong OffsetMask = 0x00FF_FFFF_FFFF_FE00;

    public byte[] Bytes { get; private set; } = bytes;

    public int ClusterBits => (int)U32(20);

    public int ClusterSize => 1 << ClusterBits;

    public long L1Offset => (long)U64(40);

    public int L1Entries => (int)U32(36);

    public long RefcountTableOffset => (long)U64(48);

    public int RefcountOrder => U32(4) == 2 ? 4 : (int)U32(96);

    public long SnapshotsOffset => (long)U64(64);

    public bool ExtendedL2 => U32(4) == 3 && (U64(72) & 16) != 0;

    private int L2EntryBytes => ExtendedL2 ? 16 : 8;

    private long L2Entries => ClusterSize / L2EntryBytes;

    private long BlockEntries => (ClusterSize * 8L) >> RefcountOrder;

    public static ImageBytes Load(string path) => new(File.ReadAllBytes(path));

    public ImageBytes Copy() => new([.. Bytes]);

    public void Save(string path) => File.WriteAllBytes(path, Bytes);

    /// <summary>A file system in memory with the image as its only file, /a.qcow2.</summary>
    public MemoryFileSystem ToMemory()
    {
        var files = new MemoryFileSystem();
        using IO.IBlockFile file = files.Create("/a.qcow2");
        file.Write(0, Bytes);
        return files;
    }

    public uint U32(long offset) => BinaryPrimitives.ReadUInt32BigEndian(Bytes.AsSpan((int)offset));

    public ulong U64(long offset) => BinaryPrimitives.ReadUInt64BigEndian(Bytes.AsSpan((int)offset));

    public void SetU16(long offset, ushort value) => BinaryPrimitives.WriteUInt16BigEndian(Bytes.AsSpan((int)offset), value);

    public void SetU32(long offset, uint value) => BinaryPrimitives.WriteUInt32BigEndian(Bytes.AsSpan((int)offset), value);

    public void SetU64(long offset, ulong value) => BinaryPrimitives.WriteUInt64BigEndian(Bytes.AsSpan((int)offset), value);

    /// <summary>Where the L1 entry of a guest offset is.</summary>
    public long L1Place(long guest) => L1Offset + ((guest >> ClusterBits) / L2Entries * 8);

    /// <summary>Where the L2 table of a guest offset is.</summary>
    public long L2Table(long guest) => (long)(U64(L1Place(guest)) & OffsetMask);

    /// <summary>Where the L2 entry of a guest offset is.</summary>
    public long L2Place(long guest) => L2Table(guest) + ((guest >> ClusterBits) % L2Entries * L2EntryBytes);

    /// <summary>The data cluster of a guest offset.</summary>
    public long DataCluster(long guest) => (long)(U64(L2Place(guest)) & OffsetMask);

    /// <summary>Where a refcount table entry is.</summary>
    public long RefcountTablePlace(int index) => RefcountTableOffset + (index * 8L);

    public ulong Refcount(long hostOffset)
    {
        (Range place, long index) = RefcountPlace(hostOffset);
        return RefcountTable.Entry(Bytes.AsSpan(place), RefcountOrder, index);
    }

    public void SetRefcount(long hostOffset, ulong value)
    {
        (Range place, long index) = RefcountPlace(hostOffset);
        RefcountTable.SetEntry(Bytes.AsSpan(place), RefcountOrder, index, value);
    }

    /// <summary>Adds zeroed clusters at the end and returns the offset of the first.</summary>
    public long Append(int clusters)
    {
        long start = (Bytes.Length + ClusterSize - 1L) & -ClusterSize;
        byte[] longer = new byte[start + (clusters * (long)ClusterSize)];
        Bytes.CopyTo(longer, 0);
        Bytes = longer;
        return start;
    }

    public void Truncate(long length) => Bytes = Bytes[..(int)length];

    private (Range Block, long Index) RefcountPlace(long hostOffset)
    {
        long cluster = hostOffset >> ClusterBits;
        int block = (int)U64(RefcountTableOffset + (cluster / BlockEntries * 8));
        return (block..(block + ClusterSize), cluster % BlockEntries);
    }
}
