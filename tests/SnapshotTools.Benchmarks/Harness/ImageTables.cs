using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SnapshotTools.Benchmarks.Harness;

/// <summary>The bytes of a qcow2 image's tables, and nothing made of them: what any look at the image has to read.</summary>
internal static class ImageTables
{
    // docs/interop/qcow2.txt of QEMU, sections "Header" and "L1 table entry": what is needed of the header, and an entry's bits of an offset.
    private const int HeaderBytes = 64, ClusterBits = 20, L1Size = 36, L1Offset = 40, RefcountOffset = 48, RefcountClusters = 56;
    private const ulong OffsetMask = 0x00fffffffffffe00;

    /// <summary>Reads the L1 table and all L2 tables; with <paramref name="refcounts"/> the refcount table and all its blocks too.</summary>
    public static void Read(string path, bool refcounts)
    {
        using var file = File.OpenHandle(path);
        byte[] header = Bytes(file, 0, HeaderBytes);
        int cluster = 1 << BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(ClusterBits));
        ReadTree(file, cluster, BinaryPrimitives.ReadInt64BigEndian(header.AsSpan(L1Offset)), BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(L1Size)) * sizeof(ulong));
        if (refcounts) ReadTree(file, cluster, BinaryPrimitives.ReadInt64BigEndian(header.AsSpan(RefcountOffset)), BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(RefcountClusters)) * cluster);
    }

    private static void ReadTree(SafeFileHandle file, int cluster, long offset, int count)
    {
        byte[] root = Bytes(file, offset, count), leaf = new byte[cluster];
        foreach (ulong entry in MemoryMarshal.Cast<byte, ulong>(root))
        {
            ulong at = BinaryPrimitives.ReverseEndianness(entry) & OffsetMask;
            if (at != 0) RandomAccess.Read(file, leaf, (long)at);
        }
    }

    private static byte[] Bytes(SafeFileHandle file, long offset, int count)
    {
        byte[] bytes = new byte[count];
        RandomAccess.Read(file, bytes, offset);
        return bytes;
    }
}
