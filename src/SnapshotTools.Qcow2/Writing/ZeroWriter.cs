namespace SnapshotTools.Qcow2;

/// <summary>What clearing a range is for.</summary>
internal enum ClearMode
{
    /// <summary>It must read as zeroes.</summary>
    Zeroes,

    /// <summary>It must read as zeroes whatever will lie below, not only what lies there now.</summary>
    Hide,

    /// <summary>It must read as zeroes, unless that would cost more than a change of tables.</summary>
    Discard,

    /// <summary>It is behind the end of the disk and never read.</summary>
    Forget,
}

/// <summary>Makes ranges read as zeroes, and gives their clusters back, by the tables alone where the format can say so.</summary>
/// <remarks>Where nothing shows through from below, an entry of 0 says it; else version 3 has zero clusters (with extended entries,
/// zero subclusters). Version 2 has neither, so that over a backing file zeroes are written as data.</remarks>
internal sealed class ZeroWriter(WritableTables tables, GuestView view, DataWriter data, int version)
{
    private static readonly byte[] Zeroes = new byte[64 << 10];

    private readonly Geometry _geometry = tables.Geometry;
    private readonly LayerMap _map = tables.Map;

    /// <summary>Makes a range read as zeroes; hiding it, also when another file is put below.</summary>
    public void WriteZeroes(long offset, long count, bool hide = false)
    {
        (long from, long to) = WholeUnits(offset, count);
        if (from >= to)
        {
            WritePart(offset, offset + count, hide);
            return;
        }
        WritePart(offset, from, hide);
        Clear(from, to, hide ? ClearMode.Hide : ClearMode.Zeroes);
        WritePart(to, Math.Max(to, offset + count), hide);
    }

    /// <summary>Gives back the whole units of a range, which then read as zeroes; what cannot be said without writing data stays as it is.</summary>
    public void Discard(long offset, long count)
    {
        (long from, long to) = WholeUnits(offset, count);
        if (from < to) Clear(from, to, ClearMode.Discard);
    }

    /// <summary>The whole clusters (or subclusters) within a range. The last one of the disk counts as whole when its end is reached.</summary>
    private (long From, long To) WholeUnits(long offset, long count)
    {
        long mask = (1L << _geometry.SubclusterBits) - 1, end = offset + count;
        long to = end == tables.Layer.VirtualSize ? (end + mask) & ~mask : end & ~mask;
        return ((offset + mask) & ~mask, to);
    }

    /// <summary>Writes zeroes as data, but (unless they are to hide what will be below) for what reads as zeroes already.</summary>
    private void WritePart(long from, long to, bool hide)
    {
        to = Math.Min(to, tables.Layer.VirtualSize);
        while (from < to)
        {
            int count = (int)Math.Min(Zeroes.Length, to - from);
            if (hide || !view.IsZero(from, count)) data.Write(from, Zeroes.AsSpan(0, count));
            from += count;
        }
    }

    /// <summary>Forgets what is behind the end of the disk.</summary>
    public void Forget(long from, long to) => Clear(from, to, ClearMode.Forget);

    private void Clear(long from, long to, ClearMode mode)
    {
        while (from < to)
        {
            long end = Math.Min(to, ((from >> _geometry.L2CoverageBits) + 1) << _geometry.L2CoverageBits);
            if (_map.TableOffset(_map.L1Index(from)) >= 0 || !IsClear(from, end, mode))
            {
                end = Math.Min(end, _map.SliceEnd(from));
                if (_map.TableOffset(_map.L1Index(from)) >= 0 || !IsClear(from, end, mode)) ClearInSlice(from, end, mode);
            }
            from = end;
            tables.BarrierWhenFull();
        }
    }

    /// <summary>Whether nothing need be done where there is no L2 table.</summary>
    private bool IsClear(long from, long to, ClearMode mode) =>
        mode == ClearMode.Forget || (mode == ClearMode.Discard && version == 2) || (mode != ClearMode.Hide && view.ReadsZeroBelow(from, to - from));

    private void ClearInSlice(long from, long to, ClearMode mode)
    {
        while (from < to)
        {
            long end = Math.Min(to, (from & -(long)_geometry.ClusterSize) + _geometry.ClusterSize);
            if (!ClearInCluster(tables.SliceForWrite(from), from, end, mode) && mode is ClearMode.Zeroes or ClearMode.Hide) WritePart(from, end, mode == ClearMode.Hide);
            from = end;
        }
    }

    /// <summary>Clears a cluster, or some subclusters of it; false when the tables cannot say it.</summary>
    private bool ClearInCluster(L2Slice slice, long from, long to, ClearMode mode)
    {
        int at = _map.EntryOffset(from);
        ulong entry = slice.Word(at);
        ClusterKind kind = _map.Format.KindOf(entry);
        if (kind == ClusterKind.Invalid) _map.Next(from, 1);
        bool nothing = mode == ClearMode.Forget || (mode != ClearMode.Hide && view.ReadsZeroBelow(from, to - from));
        if (_geometry.ExtendedL2) return ClearSubclusters(slice, at, from, to, nothing);

        if (!nothing && version == 2) return false;
        ulong cleared = nothing ? 0 : L2Format.Zero;
        if (entry == cleared) return true;
        tables.SetEntry(slice, at, cleared);
        tables.FreeOld(entry);
        return true;
    }

    private bool ClearSubclusters(L2Slice slice, int at, long from, long to, bool nothing)
    {
        ulong entry = slice.Word(at), bitmap = slice.Word(at + 8);
        bool whole = to - from == _geometry.ClusterSize;
        if ((entry & L2Format.Compressed) != 0)
        {
            if (!whole) return false;
            bitmap = 0;
        }
        else if (!L2Format.IsValidBitmap(entry, bitmap))
        {
            _map.Next(from, 1);
        }
        int first = (int)(_geometry.OffsetInCluster(from) >> _geometry.SubclusterBits);
        int count = (int)((to - from) >> _geometry.SubclusterBits);
        ulong mask = ((1UL << count) - 1) << first;
        ulong changed = bitmap & ~(mask | (mask << 32));
        if (!nothing) changed |= mask << 32;
        bool empty = (uint)changed == 0 && entry != 0;
        if (changed != slice.Word(at + 8)) tables.SetEntry(slice, at + 8, changed);
        if (!empty) return true;
        tables.SetEntry(slice, at, 0);
        tables.FreeOld(entry);
        return true;
    }
}
