namespace SnapshotTools.Testing.Files;

/// <summary>The bytes of a file in memory: pages that were never written read as zeroes and cost nothing; copies share pages until one of them writes.</summary>
internal sealed class SparseContent
{
    public const int PageSize = 4096;

    private readonly Dictionary<long, byte[]> _pages;
    private readonly HashSet<long> _own;

    public SparseContent()
        : this([], [], 0)
    {
    }

    private SparseContent(Dictionary<long, byte[]> pages, HashSet<long> own, long length) => (_pages, _own, Length) = (pages, own, length);

    public long Length { get; private set; }

    public long AllocatedBytes => _pages.Count * (long)PageSize;

    public SparseContent Copy()
    {
        _own.Clear();
        return new SparseContent(new Dictionary<long, byte[]>(_pages), [], Length);
    }

    public int Read(long offset, Span<byte> buffer)
    {
        int count = (int)Math.Clamp(Length - offset, 0, buffer.Length);
        foreach (var (page, within, start, size) in Pieces(offset, count))
        {
            Span<byte> part = buffer.Slice(start, size);
            if (_pages.TryGetValue(page, out byte[]? bytes)) bytes.AsSpan(within, size).CopyTo(part);
            else part.Clear();
        }
        return count;
    }

    public void Write(long offset, ReadOnlySpan<byte> data)
    {
        if (data.Length == 0) return;
        foreach (var (page, within, start, size) in Pieces(offset, data.Length))
            data.Slice(start, size).CopyTo(Own(page).AsSpan(within));
        Length = Math.Max(Length, offset + data.Length);
    }

    public void Zero(long offset, long count)
    {
        long end = Math.Min(offset + count, Length);
        if (end <= offset) return;
        foreach (long page in PagesIn(offset, end - offset).ToList())
        {
            long start = page * PageSize, from = Math.Max(offset, start), to = Math.Min(end, start + PageSize);
            if (to - from == PageSize || (from == start && to == Length)) Drop(page);
            else Own(page).AsSpan((int)(from - start), (int)(to - from)).Clear();
        }
    }

    public void SetLength(long length)
    {
        if (length < Length) Zero(length, Length - length);
        Length = length;
    }

    /// <summary>The pages with bytes in a range, in no order.</summary>
    public IEnumerable<long> PagesIn(long offset, long count)
    {
        long first = offset / PageSize, last = (offset + count - 1) / PageSize;
        if (count <= 0) return [];
        return last - first < _pages.Count
            ? LongRange(first, last).Where(_pages.ContainsKey)
            : _pages.Keys.Where(p => p >= first && p <= last);
    }

    public (long Offset, long Count)? NextData(long offset)
    {
        List<long> pages = [.. PagesIn(offset, Length - offset).Order()];
        if (pages.Count == 0) return null;
        int run = 1;
        while (run < pages.Count && pages[run] == pages[0] + run) run++;
        long from = Math.Max(offset, pages[0] * PageSize), to = Math.Min(Length, (pages[0] + run) * PageSize);
        return (from, to - from);
    }

    private static IEnumerable<long> LongRange(long first, long last)
    {
        for (long i = first; i <= last; i++) yield return i;
    }

    private static IEnumerable<(long Page, int Within, int Start, int Size)> Pieces(long offset, int count)
    {
        for (int done = 0; done < count;)
        {
            int within = (int)((offset + done) % PageSize), size = Math.Min(PageSize - within, count - done);
            yield return ((offset + done) / PageSize, within, done, size);
            done += size;
        }
    }

    private byte[] Own(long page)
    {
        if (_own.Add(page)) _pages[page] = _pages.TryGetValue(page, out byte[]? shared) ? [.. shared] : new byte[PageSize];
        return _pages[page];
    }

    private void Drop(long page)
    {
        _pages.Remove(page);
        _own.Remove(page);
    }
}
