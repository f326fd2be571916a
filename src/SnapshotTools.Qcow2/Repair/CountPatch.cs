namespace SnapshotTools.Qcow2;

/// <summary>Corrects counts in their place. Each count is right or as before at any moment: they do not depend on each other.</summary>
internal sealed class CountPatch(Examination image, RepairTargets targets)
{
    private const int SectorBits = 9;

    /// <summary>Counts the clusters whose count is to be raised and lowered, as far as they have a place for it.</summary>
    public (long Raised, long Lowered) Count(CancellationToken cancellation)
    {
        long raised = 0, lowered = 0;
        Visit((_, _, present, target) =>
        {
            if (target > present) raised++;
            else lowered++;
        }, cancellation);
        return (raised, lowered);
    }

    /// <summary>Writes the counts that are to be raised (or lowered), sector by sector; the caller flushes.</summary>
    public void Apply(bool raise, CancellationToken cancellation)
    {
        byte[] sector = new byte[1 << SectorBits];
        long loaded = -1;
        void Save()
        {
            if (loaded >= 0) image.File.Write(loaded, sector);
        }
        int order = image.Geometry.RefcountOrder;
        Visit((block, index, present, target) =>
        {
            if (target > present != raise) return;
            long place = block + ((index << order >> 3) & -(1L << SectorBits));
            if (place != loaded)
            {
                Save();
                loaded = place;
                image.File.Read(place, sector);
            }
            RefcountTable.SetEntry(sector, order, index & ((1L << (SectorBits + 3 - order)) - 1), target);
        }, cancellation);
        Save();
    }

    private void Visit(Action<long, long, ulong, ulong> onDifference, CancellationToken cancellation)
    {
        RefcountTable table = image.Refcounts!;
        int order = image.Geometry.RefcountOrder;
        for (int index = 0; index < table.Length; index++)
        {
            cancellation.ThrowIfCancellationRequested();
            if (table.Block(index) is not { } block) continue;
            long first = (long)index << table.BlockBits, end = first + (1L << table.BlockBits);
            for (long cluster = first; cluster < end;)
            {
                int left = (int)(Math.Min(end, (cluster | (ReferenceCounts.PageClusters - 1)) + 1) - cluster);
                (ulong present, int same) = RefcountTable.EqualEntries(block, order, cluster - first, left);
                (uint references, int alike) = image.Counts.FindPage(cluster >> ReferenceCounts.PageBits)
                    ?.EqualCounts((int)(cluster & (ReferenceCounts.PageClusters - 1)), left) ?? (0, left);
                int count = Math.Min(same, alike);
                ulong target = present == references ? present : targets.CountOf(cluster);
                for (int i = 0; target != present && i < count; i++)
                    onDifference(table.BlockOffset(index), cluster + i - first, present, target);
                cluster += count;
            }
        }
    }
}
