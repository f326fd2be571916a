using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>Compares what two guests see. What both maps show as zeroes, or as the same place of the same file, is not read.</summary>
public static class ImageCompare
{
    // Each half holds one side.
    private const int BufferBytes = 2 << 20;

    /// <summary>The first guest offset at which two images differ, or null when they read alike. Where one is longer, the
    /// other counts as zeroes there; the sizes are the caller's to compare.</summary>
    /// <param name="first">One image.</param>
    /// <param name="second">The other.</param>
    /// <param name="progress">Told how far it is, on the comparing threads.</param>
    /// <param name="cancellation">Ends the comparison.</param>
    public static long? FirstDifference(IDiskImage first, IDiskImage second, IProgress<CopyProgress>? progress = null, CancellationToken cancellation = default)
    {
        long difference = long.MaxValue;
        Lock found = new();
        void Compare(CopyStep step, BulkBuffer buffer)
        {
            if (DifferenceIn(first, second, step, buffer) is not { } at) return;
            lock (found) difference = Math.Min(difference, at);
        }
        // Steps are begun in order, so whatever lies before a difference that was found has been begun and will be done.
        IEnumerable<CopyStep> steps = Steps(first, second).TakeWhile(_ => Volatile.Read(ref difference) == long.MaxValue);
        long total = progress is null ? 0 : Steps(first, second).Sum(s => s.Count);
        new ParallelSteps(steps, Compare, BufferBytes, new CopyOptions(), () => { }).Run(progress, total, cancellation);
        return difference == long.MaxValue ? null : difference;
    }

    /// <summary>The ranges in which two images differ, in order and as they are found, in whole blocks. Where one is longer,
    /// the other counts as zeroes there.</summary>
    /// <param name="first">One image.</param>
    /// <param name="second">The other.</param>
    /// <param name="blockSize">Bytes of a block: a power of two, at most 1 MiB.</param>
    public static IEnumerable<(long Offset, long Count)> Differences(IDiskImage first, IDiskImage second, int blockSize = 64 << 10)
    {
        if (blockSize is < 512 or > BufferBytes / 2 || !int.IsPow2(blockSize)) throw new ArgumentOutOfRangeException(nameof(blockSize));
        return FindDifferences(first, second, blockSize);
    }

    private static IEnumerable<(long Offset, long Count)> FindDifferences(IDiskImage first, IDiskImage second, int blockSize)
    {
        using BulkBuffer buffer = new(BufferBytes);
        long size = Math.Max(first.VirtualSize, second.VirtualSize);
        (long Offset, long Count) pending = default;
        foreach (CopyStep step in Steps(first, second))
        {
            for (long at = Math.Max(step.Offset & -(long)blockSize, pending.Offset + pending.Count); at < step.End; at += blockSize)
            {
                long count = Math.Min(blockSize, size - at);
                if (DifferenceIn(first, second, new CopyStep(at, count, default), buffer) is null) continue;
                if (pending.Count > 0 && pending.Offset + pending.Count == at)
                {
                    pending.Count += count;
                    continue;
                }
                if (pending.Count > 0) yield return pending;
                pending = (at, count);
            }
        }
        if (pending.Count > 0) yield return pending;
    }

    /// <summary>The stretches that must be read to be compared.</summary>
    private static IEnumerable<CopyStep> Steps(IDiskImage first, IDiskImage second)
    {
        const long maxStep = BufferBytes / 2;
        CopyStep pending = default;
        foreach (var (offset, count) in Doubtful(first, second))
        {
            for (long done = 0; done < count;)
            {
                if (pending.Count > 0 && (pending.End != offset + done || pending.Count == maxStep))
                {
                    yield return pending;
                    pending = default;
                }
                long part = Math.Min(count - done, maxStep - pending.Count);
                pending = pending.Count > 0 ? pending with { Count = pending.Count + part } : new CopyStep(offset + done, part, default);
                done += part;
            }
        }
        if (pending.Count > 0) yield return pending;
    }

    private static IEnumerable<(long Offset, long Count)> Doubtful(IDiskImage first, IDiskImage second)
    {
        long size = Math.Max(first.VirtualSize, second.VirtualSize);
        using IEnumerator<MapExtent> a = Extents(first, size).GetEnumerator(), b = Extents(second, size).GetEnumerator();
        bool more = a.MoveNext() && b.MoveNext();
        for (long at = 0; more;)
        {
            long end = Math.Min(a.Current.End, b.Current.End);
            if (!CertainlyAlike(first, a.Current, second, b.Current)) yield return (at, end - at);
            at = end;
            if (a.Current.End == end) more = a.MoveNext();
            if (b.Current.End == end) more &= b.MoveNext();
        }
    }

    private static IEnumerable<MapExtent> Extents(IDiskImage image, long size)
    {
        foreach (MapExtent extent in image.Map(0, image.VirtualSize)) yield return extent;
        if (size > image.VirtualSize) yield return new MapExtent(image.VirtualSize, size - image.VirtualSize, ExtentKind.Zero, 0, -1);
    }

    private static bool CertainlyAlike(IDiskImage first, MapExtent a, IDiskImage second, MapExtent b)
    {
        if (IsZero(a) && IsZero(b)) return true;
        return a.Kind == b.Kind && a.HostOffset - a.Offset == b.HostOffset - b.Offset
            && (a.Kind == ExtentKind.Data || (a.Kind == ExtentKind.Compressed && a.Offset == b.Offset))
            && SourceFiles.Of(first, a.Layer) is { } fileA && SourceFiles.Of(second, b.Layer) is { } fileB && fileA.FileId == fileB.FileId;
    }

    private static bool IsZero(MapExtent extent) => extent.Kind is ExtentKind.Zero or ExtentKind.Unallocated;

    private static long? DifferenceIn(IDiskImage first, IDiskImage second, CopyStep step, BulkBuffer buffer)
    {
        int count = (int)Math.Min(step.Count, BufferBytes / 2);
        Span<byte> both = buffer.Span(BufferBytes);
        Span<byte> a = both[..count], b = both.Slice(BufferBytes / 2, count);
        ReadOrZero(first, step.Offset, a);
        ReadOrZero(second, step.Offset, b);
        int same = a.CommonPrefixLength(b);
        return same == count ? null : step.Offset + same;
    }

    private static void ReadOrZero(IDiskImage image, long offset, Span<byte> buffer)
    {
        int there = (int)Math.Clamp(image.VirtualSize - offset, 0, buffer.Length);
        if (there > 0) image.Read(offset, buffer[..there]);
        buffer[there..].Clear();
    }
}
