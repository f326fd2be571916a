using System.Buffers.Binary;
using System.Numerics;
using System.Text;
using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>Lays out a new image: header, refcount table, refcount blocks, L1 table, in this order and nothing else. An empty table
/// is a hole of the file, so that an image of any usual size costs three small writes.</summary>
internal static class ImageCreator
{
    /// <summary>Writes a new image into an empty file, without flushing.</summary>
    public static (Qcow2Header Header, IReadOnlyList<HeaderExtension> Extensions) Create(IBlockFile file, ImageCreateOptions options)
    {
        (Qcow2Header header, List<HeaderExtension> extensions, long blocks, long total) = Plan(options, file.Path);
        var geometry = new Geometry(header);
        (byte[] bytes, header) = HeaderLayout.Compact(header, extensions);
        if (bytes.Length > header.ClusterSize)
            throw new Qcow2Exception(Qcow2ErrorCode.HeaderFull, file.Path, $"Header, extensions and backing file name of '{file.Path}' take {bytes.Length} bytes and do not fit into a cluster of {header.ClusterSize} bytes.");
        file.SetLength(total << header.ClusterBits);
        file.Write(0, bytes);
        long firstBlock = header.RefcountTableOffset + ((long)header.RefcountTableClusters << header.ClusterBits);
        byte[] table = new byte[blocks * 8];
        for (int i = 0; i < blocks; i++) BinaryPrimitives.WriteInt64BigEndian(table.AsSpan(i * 8), firstBlock + ((long)i << header.ClusterBits));
        file.Write(header.RefcountTableOffset, table);
        WriteCounts(file, geometry, firstBlock, total);
        return (header, extensions);
    }

    /// <summary>Checks the options before any file is made.</summary>
    public static void Check(ImageCreateOptions options, string path) => Plan(options, path);

    private static (Qcow2Header Header, List<HeaderExtension> Extensions, long Blocks, long Total) Plan(ImageCreateOptions options, string path)
    {
        Require(options.Version is 2 or 3, $"The version is {options.Version}; 2 and 3 are possible.");
        Require(options.VirtualSize >= 0 && options.VirtualSize % Limits.Sector == 0, $"The virtual size {options.VirtualSize} is not a multiple of 512.");
        Require(BitOperations.IsPow2(options.ClusterSize) && options.ClusterSize >= 1 << Limits.MinClusterBits && options.ClusterSize <= 1 << Limits.MaxClusterBits,
            $"The cluster size {options.ClusterSize} is not a power of two from 512 to 2 MiB.");
        Require(BitOperations.IsPow2(options.RefcountBits) && options.RefcountBits is >= 1 and <= 64, $"Counts of {options.RefcountBits} bits are not possible; 1, 2, 4, 8, 16, 32 and 64 are.");
        Require(options.Version == 3 || (options.RefcountBits == 16 && !options.ExtendedL2 && options.CompressionType == CompressionType.Zlib),
            "Version 2 has counts of 16 bits, plain L2 entries and zlib only.");
        Require(!options.ExtendedL2 || options.ClusterSize >= 1 << Limits.MinExtendedL2ClusterBits, $"Extended L2 entries need clusters of at least {1 << Limits.MinExtendedL2ClusterBits} bytes.");
        CheckBacking(options);

        var geometry = new Geometry(BitOperations.Log2((uint)options.ClusterSize), BitOperations.Log2((uint)options.RefcountBits), options.ExtendedL2);
        long entries = Math.Max(1, geometry.L1EntriesFor(options.VirtualSize));
        if (entries > Limits.MaxL1Bytes / 8)
            throw new Qcow2Exception(Qcow2ErrorCode.LimitExceeded, path, $"'{path}' cannot have {options.VirtualSize} bytes: with clusters of {options.ClusterSize} bytes its L1 table would be larger than {Limits.MaxL1Bytes >> 20} MiB. Choose larger clusters.");

        long tables = geometry.ClustersFor(entries * 8), blocks = 1, tableClusters, total;
        while (true)
        {
            tableClusters = geometry.ClustersFor(blocks * 8);
            total = 1 + tableClusters + blocks + tables;
            long needed = ((total - 1) >> geometry.RefcountBlockBits) + 1;
            if (needed <= blocks) break;
            blocks = needed;
        }
        var header = new Qcow2Header
        {
            Version = options.Version,
            VirtualSize = options.VirtualSize,
            ClusterBits = geometry.ClusterBits,
            RefcountOrder = geometry.RefcountOrder,
            L1Entries = (int)entries,
            L1Offset = (1 + tableClusters + blocks) << geometry.ClusterBits,
            RefcountTableOffset = geometry.ClusterSize,
            RefcountTableClusters = (int)tableClusters,
            IncompatibleFeatures = (options.ExtendedL2 ? IncompatibleFeatures.ExtendedL2 : 0)
                | (options.CompressionType == CompressionType.Zlib ? 0 : IncompatibleFeatures.CompressionType),
            CompressionType = options.CompressionType,
            HeaderLength = options.Version == 2 ? HeaderParser.V2Length : HeaderLayout.KnownLength,
            BackingFile = options.BackingFile,
        };
        List<HeaderExtension> extensions = [.. options.Extensions.Where(e => e.Type != HeaderExtension.BackingFormat)];
        if (options.BackingFormat is { } format && options.BackingFile is not null) extensions.Insert(0, HeaderStore.FormatExtension(format));
        return (header, extensions, blocks, total);
    }

    private static void CheckBacking(ImageCreateOptions options)
    {
        Require(options.Extensions.All(e => e.Type is not (HeaderExtension.End or HeaderExtension.Gap)), "An extension has a type that has another use.");
        if (options.BackingFile is not { } name) return;
        Require(options.BackingFormat is not null, "The format of the backing file must be given.");
        BackingName.Check(name);
    }

    /// <summary>Counts each of the first clusters once. All blocks but the last are full.</summary>
    private static void WriteCounts(IBlockFile file, Geometry geometry, long firstBlock, long clusters)
    {
        int perBlock = 1 << geometry.RefcountBlockBits;
        for (long done = 0, at = firstBlock; done < clusters; done += perBlock, at += geometry.ClusterSize)
        {
            int count = (int)Math.Min(perBlock, clusters - done);
            var block = new RefcountBlock(0, 0, new byte[((count << geometry.RefcountOrder) + 7) >> 3], geometry.RefcountOrder);
            for (int i = 0; i < count; i++) block.Set(i, 1);
            file.Write(at, block.Bytes);
        }
    }

    private static void Require(bool condition, string message)
    {
        if (!condition) throw new ArgumentException(message);
    }
}
