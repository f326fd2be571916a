using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>
/// Copies what one layer holds itself into the layer next to it, so that one of the two can go. Whatever reads the child
/// sees the same throughout: copied up, a range holds what showed through there before; copied down, the child's own range
/// lies over it. A merge may be interrupted at any byte and begun again; it is durable when it returns.
/// </summary>
public static class LayerMerge
{
    /// <summary>Copies data, zeroes and compressed clusters of one layer into another, in place.</summary>
    /// <param name="source">The layer that will go, open for reading; its backing files are not needed.</param>
    /// <param name="target">The layer that stays, open for writing. Copying up, it has the source below it; its chain is needed where
    /// the clusters of the two differ in size.</param>
    /// <param name="selection">In which direction.</param>
    /// <param name="progress">Told how far it is, on the copying threads.</param>
    /// <param name="cancellation">Ends the merge.</param>
    /// <exception cref="Qcow2Exception">One of the images is damaged or not open for writing.</exception>
    /// <exception cref="IOException">Reading or writing failed.</exception>
    public static void CopyAllocated(
        Qcow2Image source, Qcow2Image target, MergeSelection selection, IProgress<CopyProgress>? progress = null, CancellationToken cancellation = default)
    {
        if (selection == MergeSelection.All && target.VirtualSize < source.VirtualSize) target.Resize(source.VirtualSize);
        long total = progress is null ? 0 : Ranges(source, target, selection).Sum(r => r.Count);
        StepTransfer transfer = new(source, new Qcow2Target(target), detectZeroes: false);
        void Do(CopyStep step, BulkBuffer buffer)
        {
            if (step.Source.Kind != ExtentKind.Zero) transfer.Do(step, buffer);
            else if (selection == MergeSelection.All) target.WriteZeroes(step.Offset, step.Count);
            else target.HideWithZeroes(step.Offset, step.Count);
        }
        new ParallelSteps(CopySource.Steps(Ranges(source, target, selection), transfer), Do, transfer.BufferBytes, new CopyOptions(), target.Flush)
            .Run(progress, total, cancellation);
        if (selection == MergeSelection.All && target.VirtualSize > source.VirtualSize) target.Resize(source.VirtualSize);
    }

    /// <summary>What <see cref="CopyAllocated"/> would do, read from the tables alone.</summary>
    public static MergePlan Plan(Qcow2Image source, Qcow2Image target, MergeSelection selection)
    {
        long copy = 0, zero = 0, overwritten = 0;
        foreach (MapExtent range in Ranges(source, target, selection))
        {
            if (range.Kind == ExtentKind.Zero) zero += range.Count;
            else copy += range.Count;
        }
        if (selection == MergeSelection.All)
        {
            overwritten = Overlap(source, target)
                .Where(o => IsData(o.Source) && o.Target.Kind == ExtentKind.Data)
                .Sum(o => o.Count);
        }
        return new MergePlan(copy, zero, copy - overwritten);
    }

    private static IEnumerable<MapExtent> Ranges(Qcow2Image source, Qcow2Image target, MergeSelection selection) => selection switch
    {
        MergeSelection.All => source.MapLayer(0, source.VirtualSize).Where(e => e.Kind != ExtentKind.Unallocated),
        _ => RangesUp(source, target),
    };

    private static IEnumerable<MapExtent> RangesUp(Qcow2Image source, Qcow2Image target)
    {
        // Without a file below the source, zeroes need no record: nothing will show through.
        bool hides = source.BackingFile is not null;
        foreach (LayerOverlap overlap in Overlap(source, target))
        {
            if (overlap.Target.Kind != ExtentKind.Unallocated) continue;
            if (IsData(overlap.Source) || (hides && overlap.Source.Kind == ExtentKind.Zero)) yield return overlap.SourcePart;
        }
        // Beyond its end the source showed zeroes, and what is below it must not show there now.
        long end = Math.Min(target.VirtualSize, source.Backing?.VirtualSize ?? long.MaxValue);
        if (!hides || end <= source.VirtualSize) yield break;
        foreach (MapExtent extent in target.MapLayer(source.VirtualSize, end - source.VirtualSize))
            if (extent.Kind == ExtentKind.Unallocated) yield return extent with { Kind = ExtentKind.Zero };
    }

    private static bool IsData(MapExtent extent) => extent.Kind is ExtentKind.Data or ExtentKind.Compressed;

    /// <summary>Walks both layers side by side, as far as both reach.</summary>
    private static IEnumerable<LayerOverlap> Overlap(Qcow2Image source, Qcow2Image target)
    {
        long size = Math.Min(source.VirtualSize, target.VirtualSize);
        using IEnumerator<MapExtent> a = source.MapLayer(0, size).GetEnumerator(), b = target.MapLayer(0, size).GetEnumerator();
        bool more = a.MoveNext() && b.MoveNext();
        for (long at = 0; more;)
        {
            long end = Math.Min(a.Current.End, b.Current.End);
            yield return new LayerOverlap(at, end - at, a.Current, b.Current);
            at = end;
            if (a.Current.End == end) more = a.MoveNext();
            if (b.Current.End == end) more &= b.MoveNext();
        }
    }

    /// <summary>A range that each of two layers holds in one way.</summary>
    private readonly record struct LayerOverlap(long Offset, long Count, MapExtent Source, MapExtent Target)
    {
        /// <summary>The part of the source's extent.</summary>
        public MapExtent SourcePart => Source with
        {
            Offset = Offset,
            Count = Count,
            HostOffset = Source.Kind == ExtentKind.Data ? Source.HostOffset + (Offset - Source.Offset) : Source.HostOffset,
        };
    }
}
