using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>One qcow2 file by itself (its active table, or that of an internal snapshot), for reading.</summary>
internal sealed class Qcow2Layer : ILayer
{
    private readonly CompressedClusterReader _compressed;

    public Qcow2Layer(IBlockFile file, Qcow2Header header, long cacheBytes)
    {
        File = file;
        Geometry = new Geometry(header);
        Map = new LayerMap(file, header, Geometry, cacheBytes);
        VirtualSize = header.VirtualSize;
        _compressed = new CompressedClusterReader(file, Geometry, header.CompressionType);
    }

    public IBlockFile File { get; }

    public Geometry Geometry { get; }

    public LayerMap Map { get; }

    public string Path => File.Path;

    public long VirtualSize { get; set; }

    public int UnitBits => Geometry.SubclusterBits;

    public int ClusterBits => Geometry.ClusterBits;

    public Run Next(long offset, long max) => Map.Next(offset, max);

    /// <inheritdoc/>
    /// <remarks>The last cluster of a file may be cut short by its writer; a cluster wholly beyond the end is damage.</remarks>
    public void ReadHost(long host, Span<byte> buffer)
    {
        int read = File.Read(host, buffer);
        if (read == buffer.Length) return;
        long lastCluster = (host + buffer.Length - 1) & -(long)Geometry.ClusterSize;
        if (lastCluster >= host + read && lastCluster >= File.Length)
            throw new Qcow2Exception(Qcow2ErrorCode.Truncated, Path, $"'{Path}' ends at {File.Length}, before its data at {lastCluster}.");
        buffer[read..].Clear();
    }

    public void ReadCompressed(ulong descriptor, long guestOffset, Span<byte> buffer) =>
        _compressed.Read(descriptor, (int)Geometry.OffsetInCluster(guestOffset), buffer);

    /// <summary>Forgets expanded clusters, before their place in the file is used anew.</summary>
    public void ForgetExpanded() => _compressed.Forget();

    public void Resolve(MapPage page, ushort owner)
    {
        long end = Math.Min(page.End, VirtualSize);
        for (long at = page.Start; at < end;)
        {
            long tableEnd = ((at >> Geometry.L2CoverageBits) + 1) << Geometry.L2CoverageBits;
            long to = Math.Min(end, tableEnd);
            long table = Map.TableOffset(Map.L1Index(at));
            if (table >= 0) ResolveFromTable(page, owner, table, at, to);
            at = to;
        }
    }

    private void ResolveFromTable(MapPage page, ushort owner, long table, long from, long to)
    {
        long clusterMask = Geometry.ClusterSize - 1L;
        int first = (int)((from >> Geometry.ClusterBits) & ((1L << Geometry.L2Bits) - 1));
        int count = (int)(Geometry.ClusterOf(to + clusterMask) - Geometry.ClusterOf(from));
        int length = count << Geometry.L2EntryBits;
        byte[] rented = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            Span<byte> entries = rented.AsSpan(0, length);
            long host = table + ((long)first << Geometry.L2EntryBits);
            if (File.Read(host, entries) < length)
                throw new Qcow2Exception(Qcow2ErrorCode.Truncated, Path, $"'{Path}' ends within an L2 table, at {File.Length}.");
            ReadOnlySpan<ulong> words = MemoryMarshal.Cast<byte, ulong>(entries);
            for (int at = 0; at < words.Length; at++)
            {
                // Most tables of a long chain are nearly empty.
                int used = words[at..].IndexOfAnyExcept(0UL);
                if (used < 0) break;
                at += used;
                if (Geometry.ExtendedL2) at &= ~1;
                long guest = (from & ~clusterMask) + (((long)at << 3 >> Geometry.L2EntryBits) << Geometry.ClusterBits);
                ulong entry = BinaryPrimitives.ReadUInt64BigEndian(entries[(at * 8)..]);
                if (!Geometry.ExtendedL2) ResolveStandard(page, owner, guest, entry);
                else ResolveExtended(page, owner, guest, entry, BinaryPrimitives.ReadUInt64BigEndian(entries[(++at * 8)..]));
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    private void ResolveStandard(MapPage page, ushort owner, long guest, ulong entry)
    {
        long end = guest + Geometry.ClusterSize;
        switch (Map.Format.KindOf(entry))
        {
            case ClusterKind.Data: SetData(page, owner, guest, end, L2Format.HostOffset(entry)); break;
            case ClusterKind.Zero: page.SetZero(guest, end, owner); break;
            case ClusterKind.Compressed: page.SetCompressed(guest, end, entry, owner); break;
            case ClusterKind.Invalid: page.SetInvalid(guest, end, owner); break;
        }
    }

    private void ResolveExtended(MapPage page, ushort owner, long guest, ulong entry, ulong bitmap)
    {
        ClusterKind kind = Map.Format.KindOf(entry);
        if (kind is ClusterKind.Compressed or ClusterKind.Invalid || !L2Format.IsValidBitmap(entry, bitmap))
        {
            ResolveStandard(page, owner, guest, kind == ClusterKind.Compressed ? entry : ulong.MaxValue);
            return;
        }
        for (int sub = 0; bitmap != 0 && sub < 32; sub++)
        {
            long at = guest + ((long)sub << Geometry.SubclusterBits), end = at + (1L << Geometry.SubclusterBits);
            if ((bitmap >> sub & 1) != 0) SetData(page, owner, at, end, L2Format.HostOffset(entry) + (at - guest));
            else if ((bitmap >> (32 + sub) & 1) != 0) page.SetZero(at, end, owner);
        }
    }

    private static void SetData(MapPage page, ushort owner, long guest, long end, long host)
    {
        long from = Math.Max(guest, page.Start);
        page.SetData(from, end, host + (from - guest), owner);
    }
}
