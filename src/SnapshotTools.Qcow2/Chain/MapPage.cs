namespace SnapshotTools.Qcow2;

/// <summary>A stretch of a guest's disk with the answer of a whole chain of backing files for each unit of it: which file
/// holds it, and where. Backing files do not change while they are open, so neither does a page.</summary>
internal sealed class MapPage
{
    /// <summary>log2 of the units of a page. A page is resolved at once, which costs one read of each file's L2 table.</summary>
    public const int PageBits = 12;

    public const int UnitCount = 1 << PageBits;

    private const ulong KindMask = 3UL << 62;
    private const ulong DataKind = 1UL << 62;
    private const ulong ZeroKind = 2UL << 62;
    private const ulong CompressedKind = 3UL << 62;

    private readonly ulong[] _units = new ulong[UnitCount];
    private readonly ushort[] _owners = new ushort[UnitCount];

    public MapPage(long index, int unitBits)
    {
        Index = index;
        UnitBits = unitBits;
        Unresolved = UnitCount;
    }

    public long Index { get; }

    public int UnitBits { get; }

    /// <summary>Guest offset of the first unit.</summary>
    public long Start => Index << (UnitBits + PageBits);

    public long End => (Index + 1) << (UnitBits + PageBits);

    /// <summary>Units that no layer has answered for.</summary>
    public int Unresolved { get; private set; }

    /// <summary>Data for a guest range that is in one piece in the file, from <paramref name="host"/> on.</summary>
    public void SetData(long from, long to, long host, ushort owner)
    {
        for (int unit = UnitOf(from); unit < UnitOf(to); unit++, host += 1L << UnitBits) Set(unit, DataKind | (ulong)host, owner);
    }

    /// <summary>Zeroes.</summary>
    public void SetZero(long from, long to, ushort owner)
    {
        for (int unit = UnitOf(from); unit < UnitOf(to); unit++) Set(unit, ZeroKind, owner);
    }

    /// <summary>A compressed cluster.</summary>
    public void SetCompressed(long from, long to, ulong descriptor, ushort owner)
    {
        for (int unit = UnitOf(from); unit < UnitOf(to); unit++) Set(unit, CompressedKind | (descriptor & ~KindMask), owner);
    }

    /// <summary>An impossible entry: only who reads just there meets the error.</summary>
    public void SetInvalid(long from, long to, ushort owner)
    {
        for (int unit = UnitOf(from); unit < UnitOf(to); unit++) Set(unit, ZeroKind | 1, owner);
    }

    /// <summary>The run that begins at an offset within the page, its owner, and whether the entry there is impossible.</summary>
    public Run Next(long offset, long max, out ushort owner, out bool invalid)
    {
        int unit = (int)((offset - Start) >> UnitBits);
        ulong value = _units[unit];
        owner = _owners[unit];
        invalid = value == (ZeroKind | 1);
        ulong kind = value & KindMask;
        ulong step = kind == DataKind ? 1UL << UnitBits : 0;
        long count = (1L << UnitBits) - (offset & ((1L << UnitBits) - 1));
        long within = (1L << UnitBits) - count;
        if (value == 0)
        {
            if (count >= max) return new Run(ExtentKind.Unallocated, max);   // a short read need not know where it ends
            int other = _units.AsSpan(unit).IndexOfAnyExcept(0UL);
            count += (long)((other < 0 ? UnitCount - unit : other) - 1) << UnitBits;
            return new Run(ExtentKind.Unallocated, Math.Min(count, max));
        }
        for (ulong expected = value; count < max && ++unit < UnitCount; count += 1L << UnitBits)
        {
            expected += step;
            if (_units[unit] != expected || _owners[unit] != owner) break;
        }
        count = Math.Min(count, max);
        return kind switch
        {
            DataKind => new Run(ExtentKind.Data, count, (long)(value & ~KindMask) + within),
            ZeroKind => new Run(ExtentKind.Zero, count),
            _ => new Run(ExtentKind.Compressed, count, -1, (value & ~KindMask) | L2Format.Compressed),
        };
    }

    private int UnitOf(long offset) => (int)((Math.Clamp(offset, Start, End) - Start) >> UnitBits);

    private void Set(int unit, ulong value, ushort owner)
    {
        if (_units[unit] != 0) return;
        _units[unit] = value;
        _owners[unit] = owner;
        Unresolved--;
    }
}
