namespace SnapshotTools.Qcow2.Tests.Copying;

/// <summary>An image of another make, which tells of its reads.</summary>
internal sealed class WatchedImage(IDiskImage inner, Action<long> onRead) : IDiskImage
{
    public string Path => inner.Path;

    public long VirtualSize => inner.VirtualSize;

    public bool CanWrite => false;

    public IEnumerable<MapExtent> Map(long offset, long count) => inner.Map(offset, count);

    public void Read(long offset, Span<byte> buffer)
    {
        onRead(buffer.Length);
        inner.Read(offset, buffer);
    }

    public void Dispose()
    {
    }
}

/// <summary>Progress told at once, on the thread that tells it.</summary>
internal sealed class ProgressCall(Action<CopyProgress> report) : IProgress<CopyProgress>
{
    public void Report(CopyProgress value) => report(value);
}
