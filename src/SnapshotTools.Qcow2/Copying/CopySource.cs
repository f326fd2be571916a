namespace SnapshotTools.Qcow2;

/// <summary>What there is to copy, in the order of the guest's disk.</summary>
internal static class CopySource
{
    /// <summary>The ranges of an image that hold data, from an offset on, without holes and zeroes.</summary>
    public static IEnumerable<MapExtent> Data(IDiskImage source, long from) =>
        source.Map(from, source.VirtualSize - from).Where(e => e.Kind is ExtentKind.Data or ExtentKind.Compressed);

    /// <summary>Widens data to whole units of the target, which allocates no less: what is read around it are the zeroes there.</summary>
    public static IEnumerable<MapExtent> InWholeUnits(IEnumerable<MapExtent> data, int unitSize, long size)
    {
        long mask = unitSize - 1L, done = 0;
        foreach (MapExtent extent in data)
        {
            long from = Math.Max(extent.Offset & ~mask, done), to = Math.Min((extent.End + mask) & ~mask, size);
            if (from >= to) continue;
            done = to;
            // What was widened is in no one place of the source.
            yield return from == extent.Offset && to == extent.End ? extent : new MapExtent(from, to - from, ExtentKind.Data, extent.Layer, -1);
        }
    }

    /// <summary>Cuts ranges into steps. Adjacent data is joined where it goes through a buffer; zeroes are a step of their own.</summary>
    public static IEnumerable<CopyStep> Steps(IEnumerable<MapExtent> ranges, StepTransfer transfer)
    {
        CopyStep pending = default;
        foreach (MapExtent extent in ranges)
        {
            if (extent.Kind == ExtentKind.Zero)
            {
                if (pending.Count > 0) yield return pending;
                pending = default;
                yield return new CopyStep(extent.Offset, extent.Count, extent);
                continue;
            }
            for (long at = extent.Offset; at < extent.End;)
            {
                long step = transfer.StepBytes;
                bool joins = pending.Count > 0 && pending.End == at && at % step != 0 && transfer.Joins(pending.Source, extent);
                if (pending.Count > 0 && !joins)
                {
                    yield return pending;
                    pending = default;
                }
                long count = Math.Min(extent.End - at, step - (at % step));
                pending = joins ? pending with { Count = pending.Count + count } : new CopyStep(at, count, extent);
                at += count;
            }
        }
        if (pending.Count > 0) yield return pending;
    }
}
