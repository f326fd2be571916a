using System.Buffers.Binary;

namespace SnapshotTools.Qcow2;

/// <summary>Counts what the persistent bitmaps refer to: their directory, their tables and the clusters of their bits.</summary>
internal sealed class BitmapScan(SparseReader reader, Qcow2Header header, Geometry geometry, ReferenceCounts counts, FindingCollector findings)
{
    private const int PieceBytes = 64 << 10;
    private const ulong AllOnes = 1;

    /// <summary>Counts the bitmaps. Bitmaps that a writer left behind (their feature bit is cleared) count for nothing: their
    /// clusters may have been used for something else since.</summary>
    public void Read(IReadOnlyList<HeaderExtension> extensions, CancellationToken cancellation)
    {
        try
        {
            BitmapDirectory directory = BitmapDirectoryReader.Read(reader.File, header, extensions);
            if (!directory.Consistent || directory.Bitmaps.Count == 0) return;
            MetadataArea.Claim("directory of bitmaps", directory.Offset, directory.Bytes, reader, geometry, counts, findings);
            foreach (PersistentBitmap bitmap in directory.Bitmaps) ReadTable(bitmap, cancellation);
        }
        catch (Qcow2Exception e)
        {
            findings.Add(new CheckFinding(CheckFindingKind.Bitmaps, CheckSeverity.Error, e.Message), hidesReferences: true);
        }
    }

    private void ReadTable(PersistentBitmap bitmap, CancellationToken cancellation)
    {
        string name = $"table of bitmap '{Printable.Text(bitmap.Name)}'";
        long bytes = bitmap.TableEntries * 8L;
        if (!MetadataArea.Claim(name, bitmap.TableOffset, bytes, reader, geometry, counts, findings)) return;
        byte[] piece = new byte[Math.Min(PieceBytes, bytes)];
        for (long at = 0; at < bytes; at += piece.Length)
        {
            cancellation.ThrowIfCancellationRequested();
            Span<byte> part = piece.AsSpan(0, (int)Math.Min(piece.Length, bytes - at));
            if (!reader.TryRead(bitmap.TableOffset + at, part)) continue;
            for (int i = 0; i < part.Length; i += 8)
            {
                ulong entry = BinaryPrimitives.ReadUInt64BigEndian(part[i..]);
                if (entry != 0) Count(name, (at + i) / 8, entry);
            }
        }
    }

    private void Count(string name, long index, ulong entry)
    {
        long host = L2Format.HostOffset(entry);
        if (entry != (ulong)host && entry != AllOnes)
            findings.AddError(CheckFindingKind.ReservedBits, host, -1, $"Entry {index} of the {name} (0x{entry:x16}) has reserved bits set.");
        if (host == 0) return;
        if (!geometry.IsAligned(host))
            findings.AddError(CheckFindingKind.Unaligned, host, -1, $"Entry {index} of the {name} points to {host}, which is not the start of a cluster.");
        if (host >= geometry.ClustersFor(reader.Length) << geometry.ClusterBits)
            findings.AddError(CheckFindingKind.OutOfFile, host, -1, $"Entry {index} of the {name} points to {host}, past the end of the file at {reader.Length}.");
        ClusterUse before = counts.Add(geometry.ClusterOf(host), 1, ClusterUse.Metadata);
        if (before != ClusterUse.None)
            findings.AddError(CheckFindingKind.Overlap, host, -1, $"Entry {index} of the {name} points to {host}, where {MetadataArea.Describe(before)} is.");
    }
}
