using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>A raw file as a disk. Its size is rounded up to whole sectors of 512 bytes, as QEMU does; the rest reads as zeroes.</summary>
public sealed class RawImage : IDiskImage, ILayer
{
    private readonly IBlockFile _file;

    private readonly ImageLock? _lock;

    private RawImage(IBlockFile file, ImageLock? held)
    {
        _file = file;
        _lock = held;
        VirtualSize = (file.Length + Limits.Sector - 1) & ~(Limits.Sector - 1L);
    }

    /// <summary>Opens a raw file for reading.</summary>
    public static RawImage Open(IFileSystem fs, string path, ImageOpenOptions options)
    {
        IBlockFile file = fs.Open(path, options.FollowLinks ? FileOpenMode.ReadFollowingLinks : FileOpenMode.Read);
        try
        {
            return new RawImage(file, options.Lock ? ImageLock.Acquire(file, ImageUse.Read) : null);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public string Path => _file.Path;

    /// <inheritdoc/>
    public long VirtualSize { get; }

    /// <inheritdoc/>
    public bool CanWrite => false;

    /// <summary>The open file.</summary>
    internal IBlockFile File => _file;

    int ILayer.UnitBits => Limits.MaxClusterBits;

    int ILayer.ClusterBits => Limits.MaxClusterBits;

    /// <inheritdoc/>
    public void Read(long offset, Span<byte> buffer)
    {
        GuestRange.Check(this, offset, buffer.Length);
        ReadHost(offset, buffer);
    }

    /// <inheritdoc/>
    public IEnumerable<MapExtent> Map(long offset, long count)
    {
        GuestRange.Check(this, offset, count);
        return MapHoles(offset, offset + count);
    }

    private IEnumerable<MapExtent> MapHoles(long at, long end)
    {
        while (at < end)
        {
            Run run = Next(at, end - at);
            yield return new MapExtent(at, run.Count, run.Kind, 0, run.Host);
            at += run.Count;
        }
    }

    /// <summary>Data, or a hole of the file as zeroes.</summary>
    internal Run Next(long offset, long max)
    {
        var data = _file.NextData(offset);
        if (data is null || data.Value.Offset >= offset + max) return new Run(ExtentKind.Zero, max);
        return data.Value.Offset > offset
            ? new Run(ExtentKind.Zero, data.Value.Offset - offset)
            : new Run(ExtentKind.Data, Math.Min(max, data.Value.Count), offset);
    }

    Run ILayer.Next(long offset, long max) => Next(offset, max);

    void ILayer.Resolve(MapPage page, ushort owner) => page.SetData(page.Start, page.End, page.Start, owner);

    void ILayer.ReadHost(long host, Span<byte> buffer) => ReadHost(host, buffer);

    void ILayer.ReadCompressed(ulong descriptor, long guestOffset, Span<byte> buffer) => throw new NotSupportedException();

    private void ReadHost(long host, Span<byte> buffer)
    {
        int read = _file.Read(host, buffer);
        buffer[read..].Clear();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _lock?.Dispose();
        _file.Dispose();
    }
}
