using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace SnapshotTools.Qcow2;

/// <summary>Reads L2 tables and counts the clusters that they refer to.</summary>
internal sealed class L2Scan
{
    private readonly SparseReader _reader;
    private readonly Geometry _geometry;
    private readonly RefcountTable _refcounts;
    private readonly ReferenceCounts _counts;
    private readonly FindingCollector _findings;
    private readonly byte[] _table;
    private readonly long _fileEnd;
    private readonly ulong _zeroBit;
    private readonly long _clusterMask;

    public L2Scan(SparseReader reader, Qcow2Header header, Geometry geometry, RefcountTable refcounts, ReferenceCounts counts, FindingCollector findings)
    {
        (_reader, _geometry, _refcounts, _counts, _findings) = (reader, geometry, refcounts, counts, findings);
        _table = new byte[geometry.ClusterSize];
        // As in QEMU, the last cluster of the file counts as whole.
        _fileEnd = geometry.ClustersFor(reader.Length) << geometry.ClusterBits;
        _zeroBit = header.Version == 2 || geometry.ExtendedL2 ? 0 : L2Format.Zero;
        _clusterMask = geometry.ClusterSize - 1L;
    }

    /// <summary>Guest clusters of the active disk that take space.</summary>
    public long Allocated { get; private set; }

    /// <summary>Those of them that are compressed.</summary>
    public long Compressed { get; private set; }

    /// <summary>Reads a table whose cluster is counted already.</summary>
    public void Read(long offset, in L2Use use)
    {
        if (!_reader.TryRead(offset, _table)) return;
        Span<ulong> words = MemoryMarshal.Cast<byte, ulong>(_table.AsSpan());
        if (BitConverter.IsLittleEndian) BinaryPrimitives.ReverseEndianness(words, words);
        int step = _geometry.ExtendedL2 ? 2 : 1;
        int lookedAt = step == 1 ? 0 : words.Length;
        for (int i = 0; i < words.Length; i += step)
        {
            ulong entry = words[i];
            if (entry == 0 && (step == 1 || words[i + 1] == 0))
            {
                int used = words[i..].IndexOfAnyExcept(0UL);
                if (used < 0) break;
                i += used & -step;
                entry = words[i];
            }
            if (i >= lookedAt)
            {
                (int counted, int length) = CountRun(words[i..], use);
                lookedAt = i + length;
                i += counted;
                if (counted == length && length > 0)
                {
                    i--;
                    continue;
                }
                entry = words[i];
            }
            var place = new Place(offset, i / step, use.Active ? (((long)use.L1Index << _geometry.L2Bits) + (i / step)) << _geometry.ClusterBits : -1);
            if (step == 2) CheckBitmap(entry, words[i + 1], place);
            if ((entry & L2Format.Compressed) != 0) CountCompressed(entry, use, place);
            else if (entry != 0) CountStandard(entry, use, place);
        }
    }

    /// <summary>Counts entries at once whose clusters lie one after the other, with which all is well.</summary>
    /// <returns>For how many it was done, and how many are in a row; the others of them must be looked at one by one.</returns>
    private (int Counted, int Length) CountRun(ReadOnlySpan<ulong> words, in L2Use use)
    {
        ulong entry = words[0];
        long host = L2Format.HostOffset(entry);
        if ((entry & ~L2Format.Copied) != (ulong)host || host == 0 || (host & _clusterMask) != 0) return (0, 0);
        long room = (_fileEnd - host) >> _geometry.ClusterBits;
        if (room <= 0) return (0, 0);
        int count = (int)Math.Min(RunLength(words, (ulong)_geometry.ClusterSize), room);
        long cluster = _geometry.ClusterOf(host);
        bool copied = (entry & L2Format.Copied) != 0;
        if (use.Active && (_refcounts.GetUniform(cluster, count) is not { } actual || (actual == 1) != copied)) return (0, count);
        int counted = _counts.AddFreshData(cluster, count, use.References);
        if (use.Active) Allocated += counted;
        return (counted, count);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int RunLength(ReadOnlySpan<ulong> words, ulong step)
    {
        ulong expected = words[0];
        int count = 1;
        while (count < words.Length && words[count] == (expected += step)) count++;
        return count;
    }

    private void CountStandard(ulong entry, in L2Use use, in Place place)
    {
        long host = L2Format.HostOffset(entry);
        if ((entry & ~(L2Format.Copied | _zeroBit)) != (ulong)host)
            Report(CheckFindingKind.ReservedBits, place, host, $"has reserved bits set (0x{entry:x16})");
        if (host == 0)
        {
            if ((entry & L2Format.Copied) != 0) Report(CheckFindingKind.ReservedBits, place, -1, $"has a flag and no cluster (0x{entry:x16})");
            return;
        }
        if (use.Active) Allocated++;
        long cluster = _geometry.ClusterOf(host);
        bool aligned = (host & _clusterMask) == 0;
        if (!aligned) Report(CheckFindingKind.Unaligned, place, host, $"points to {host}, which is not the start of a cluster");
        if (host > _fileEnd - _geometry.ClusterSize)
            Report(CheckFindingKind.OutOfFile, place, host, $"points to {host}, past the end of the file at {_reader.Length}");
        Count(cluster, use, ClusterUse.Data, place);
        if (!aligned) Count(cluster + 1, use, ClusterUse.Data, place);
        else if (use.Active) CheckCopied((entry & L2Format.Copied) != 0, cluster, place);
    }

    private void CountCompressed(ulong entry, in L2Use use, in Place place)
    {
        if (use.Active)
        {
            Allocated++;
            Compressed++;
        }
        if ((entry & L2Format.Copied) != 0)
            Report(CheckFindingKind.CopiedFlag, place, -1, $"is compressed and has the flag of a cluster that may be written in place (0x{entry:x16})");
        CompressedRange range = CompressedRange.FromEntry(entry, _geometry.ClusterBits);
        if (range.Offset >= Limits.MaxHostOffset)
        {
            Report(CheckFindingKind.ReservedBits, place, -1, $"has reserved bits set (0x{entry:x16})");
            return;
        }
        if (range.End > _fileEnd)
            Report(CheckFindingKind.OutOfFile, place, range.Offset, $"points to compressed data at {range.Offset} to {range.End}, past the end of the file at {_reader.Length}");
        long last = _geometry.ClusterOf(range.End - 1);
        for (long cluster = _geometry.ClusterOf(range.FirstSector); cluster <= last; cluster++) Count(cluster, use, ClusterUse.Compressed, place);
    }

    private void Count(long cluster, in L2Use use, ClusterUse kind, in Place place)
    {
        ClusterUse before = _counts.Add(cluster, use.References, kind);
        if (before != ClusterUse.None)
            Report(CheckFindingKind.Overlap, place, cluster << _geometry.ClusterBits, $"points to {cluster << _geometry.ClusterBits}, where {MetadataArea.Describe(before)} is");
    }

    private void CheckCopied(bool copied, long cluster, in Place place)
    {
        if (_refcounts.Get(cluster) is { } count && count == 1 != copied)
            Report(CheckFindingKind.CopiedFlag, place, cluster << _geometry.ClusterBits, CopiedCause(copied, count));
    }

    /// <summary>What is wrong with a flag, for entries of L1 and L2 tables.</summary>
    public static FormattableString CopiedCause(bool copied, ulong count) => copied
        ? (FormattableString)$"says that nothing else refers to its cluster, whose reference count is {count}"
        : $"does not say that nothing else refers to its cluster, whose reference count is 1";

    private void CheckBitmap(ulong entry, ulong bitmap, in Place place)
    {
        if ((entry & L2Format.Compressed) != 0)
        {
            if (bitmap != 0) Report(CheckFindingKind.ReservedBits, place, -1, $"is compressed and has a bitmap of subclusters (0x{bitmap:x16})");
        }
        else if (!L2Format.IsValidBitmap(entry, bitmap))
        {
            Report(CheckFindingKind.ReservedBits, place, L2Format.HostOffset(entry), $"has a bitmap of subclusters that contradicts itself or has no cluster (0x{bitmap:x16})");
        }
    }

    private void Report(CheckFindingKind kind, in Place place, long host, FormattableString cause) =>
        _findings.AddError(kind, host, place.Guest, $"Entry {place.Index} of the L2 table at {place.Table} {cause}.");

    /// <summary>Where an entry is.</summary>
    private readonly record struct Place(long Table, int Index, long Guest);
}
