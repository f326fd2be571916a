namespace SnapshotTools.Testing.Files;

/// <summary>A write that no flush has made durable yet: the sectors that it changed, as they are after it, and the length if it changed.</summary>
internal sealed record PendingWrite(string Text, long Order, Dictionary<long, byte[]> After, long? LengthAfter, bool Cuts);

/// <summary>A file's durable content, its present content, and the writes between the two.</summary>
internal sealed class ReplayedFile
{
    private const int Sector = 512;

    private static long _lastOrder;

    private readonly List<PendingWrite> _pending = [];
    private SparseContent _durable;

    public ReplayedFile() => (_durable, Now) = (new(), new());

    public ReplayedFile(MemoryNode node) => (_durable, Now, Frozen, ModifiedAt, DurableModifiedAt) = (node.Content.Copy(), node.Content.Copy(), node.Frozen, node.ModifiedAt, node.ModifiedAt);

    public ReplayedFile(byte[] content)
        : this()
    {
        Now.Write(0, content);
        _durable = Now.Copy();
    }

    public SparseContent Now { get; }

    public bool Frozen { get; set; }

    public DateTimeOffset ModifiedAt { get; set; } = DateTimeOffset.UtcNow;

    public DateTimeOffset DurableModifiedAt { get; private set; } = DateTimeOffset.UtcNow;

    public IReadOnlyList<PendingWrite> Pending => _pending;

    public void Write(FileEffect effect, long offset, byte[] data) =>
        Add(effect, Sectors(offset, data.Length), () => Now.Write(offset, data));

    public void Punch(FileEffect effect, long offset, long count) =>
        Add(effect, SectorsWithBytes(offset, Math.Min(count, Now.Length - offset)), () => Now.Zero(offset, count));

    public void SetLength(FileEffect effect, long length) =>
        Add(effect, SectorsWithBytes(length, Now.Length - length), () => Now.SetLength(length));

    public void Flush()
    {
        _durable = Now.Copy();
        DurableModifiedAt = ModifiedAt;
        _pending.Clear();
    }

    /// <summary>The content after a power cut that left the given writes, and of each the sectors that its filter lets through.</summary>
    public SparseContent Surviving(IReadOnlyDictionary<PendingWrite, Func<long, bool>> kept)
    {
        if (_pending.Count == 0) return _durable.Copy();
        int lastLength = _pending.FindLastIndex(w => w.LengthAfter is not null && kept.ContainsKey(w));
        long length = lastLength < 0 ? _durable.Length : _pending[lastLength].LengthAfter!.Value;
        Dictionary<long, byte[]> sectors = [];
        for (int i = 0; i < _pending.Count; i++)
        {
            PendingWrite write = _pending[i];
            bool implied = write.Cuts && i < lastLength;
            if (!implied && !kept.ContainsKey(write)) continue;
            foreach (var (sector, bytes) in write.After)
                if (implied || write.Cuts || kept[write](sector)) sectors[sector] = bytes;
        }
        SparseContent content = _durable.Copy();
        foreach (var (sector, bytes) in sectors) content.Write(sector * Sector, bytes);
        content.SetLength(length);
        return content;
    }

    private static IEnumerable<long> Sectors(long offset, long count)
    {
        for (long sector = offset / Sector; count > 0 && sector <= (offset + count - 1) / Sector; sector++) yield return sector;
    }

    private IEnumerable<long> SectorsWithBytes(long offset, long count) =>
        Now.PagesIn(offset, count)
            .SelectMany(p => Sectors(p * SparseContent.PageSize, SparseContent.PageSize))
            .Where(s => (s + 1) * Sector > offset && s * Sector < offset + count);

    private void Add(FileEffect effect, IEnumerable<long> changed, Action change)
    {
        List<long> sectors = [.. changed];
        long lengthBefore = Now.Length;
        change();
        Dictionary<long, byte[]> after = [];
        foreach (long sector in sectors)
        {
            byte[] bytes = new byte[Sector];
            Now.Read(sector * Sector, bytes);
            after[sector] = bytes;
        }
        long? lengthAfter = Now.Length == lengthBefore ? null : Now.Length;
        if (after.Count == 0 && lengthAfter is null) return;
        _pending.Add(new PendingWrite(effect.ToString(), Interlocked.Increment(ref _lastOrder), after, lengthAfter, Now.Length < lengthBefore));
    }
}
