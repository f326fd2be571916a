namespace SnapshotTools.Qcow2;

/// <content>Reading and mapping.</content>
public sealed partial class Qcow2Image
{
    /// <summary>Bytes that a step of a map looks at while it keeps writers waiting.</summary>
    private const long MapStep = 1L << 40;

    /// <inheritdoc/>
    public void Read(long offset, Span<byte> buffer)
    {
        if (!CanWrite)
        {
            // Nothing changes, so nothing has to be kept from changing.
            ObjectDisposedException.ThrowIf(_closed, this);
            GuestRange.Check(this, offset, buffer.Length);
            if (_below.Count > 0) Whole.Read(offset, buffer);
            else View.Read(offset, buffer);
            return;
        }
        _gate.EnterReadLock();
        try
        {
            GuestRange.Check(this, offset, buffer.Length);
            View.Read(offset, buffer);
        }
        finally
        {
            _gate.ExitReadLock();
        }
    }

    /// <inheritdoc/>
    public IEnumerable<MapExtent> Map(long offset, long count)
    {
        GuestRange.Check(this, offset, count);
        RequireDistinctTables();
        return Merge(offset, offset + count, NextOfChain);
    }

    /// <summary>As <see cref="Map"/>, of this layer alone.</summary>
    public IEnumerable<MapExtent> MapLayer(long offset, long count)
    {
        GuestRange.Check(this, offset, count);
        RequireDistinctTables();
        return Merge(offset, offset + count, NextOfLayer);
    }

    /// <summary>What this layer holds by itself.</summary>
    public LayerUsage GetUsage()
    {
        RequireDistinctTables();
        long data = 0, zero = 0, compressed = 0, host = 0, lastCluster = -1;
        foreach (MapExtent extent in MapLayer(0, VirtualSize))
        {
            if (extent.Kind == ExtentKind.Data) data += extent.Count;
            else if (extent.Kind == ExtentKind.Zero) zero += extent.Count;
            else if (extent.Kind == ExtentKind.Compressed) compressed += extent.Count;
            if (extent.HostOffset < 0) continue;
            if (extent.Kind == ExtentKind.Compressed)
            {
                host += CompressedBytes(extent.Offset);
                continue;
            }
            // Several extents of one cluster follow each other: its subclusters.
            long first = _layer.Geometry.ClusterOf(extent.HostOffset), last = _layer.Geometry.ClusterOf(extent.HostOffset + extent.Count - 1);
            host += (last - first + (first == lastCluster ? 0 : 1)) << Header.ClusterBits;
            lastCluster = last;
        }
        return new LayerUsage(data, zero, compressed, host);
    }

    /// <summary>No image names one L2 table for two places of the disk. One that a stranger made, with millions of them, would be walked for hours.</summary>
    private void RequireDistinctTables()
    {
        _gate.EnterReadLock();
        try
        {
            _layer.Map.RequireDistinctTables();
        }
        finally
        {
            _gate.ExitReadLock();
        }
    }

    /// <summary>The guest's view, made when first needed: a layer that is only part of a chain needs none.</summary>
    private GuestView View => _view ??= MakeView(_layer);

    private GuestView MakeView(Qcow2Layer top)
    {
        BackingMap? backing = _below.Count == 0 ? null : new BackingMap([.. LayersBelow], CanWrite ? _options.CacheBytes / 2 : _options.CacheBytes / 4);
        return new GuestView(top, backing, _below.Count == 0 ? BackingFile : null);
    }

    /// <summary>The chain resolved as one, with this layer, for reading: one look-up instead of two where this layer cannot change.</summary>
    private BackingMap Whole => _whole ??= new BackingMap([_layer, .. LayersBelow], _options.CacheBytes / 2);

    private IEnumerable<ILayer> LayersBelow => _below.Select(i => i is Qcow2Image image ? image._layer : (ILayer)i);

    private (Run Run, int Owner) NextOfLayer(long offset, long max) => (_layer.Next(offset, max), 0);

    private (Run Run, int Owner) NextOfChain(long offset, long max) => NextOf(View, offset, max);

    private (Run Run, int Owner) NextOf(GuestView view, long offset, long max)
    {
        Run run = view.Next(offset, max, out int owner);
        if (run.Kind == ExtentKind.Data && owner > 0 && _below[owner - 1] is RawImage raw)
        {
            Run part = raw.Next(run.Host, run.Count);
            run = part.Kind == ExtentKind.Data ? run with { Count = part.Count } : part;
        }
        return (run, owner);
    }

    private IEnumerable<MapExtent> Merge(long at, long end, Func<long, long, (Run Run, int Owner)> next)
    {
        MapExtent pending = default;
        while (at < end)
        {
            (Run run, int owner) = Step(at, Math.Min(end - at, MapStep), next);
            var extent = new MapExtent(at, run.Count, run.Kind, owner, run.Host);
            at += run.Count;
            if (pending.Count > 0 && Continues(pending, extent))
            {
                pending = pending with { Count = pending.Count + extent.Count };
                continue;
            }
            if (pending.Count > 0) yield return pending;
            pending = extent;
        }
        if (pending.Count > 0) yield return pending;
    }

    private (Run Run, int Owner) Step(long offset, long max, Func<long, long, (Run Run, int Owner)> next)
    {
        _gate.EnterReadLock();
        try
        {
            return next(offset, max);
        }
        finally
        {
            _gate.ExitReadLock();
        }
    }

    private static bool Continues(MapExtent first, MapExtent second) =>
        first.Kind == second.Kind && first.Layer == second.Layer && first.Kind != ExtentKind.Compressed
        && (first.HostOffset < 0 ? second.HostOffset < 0 : second.HostOffset == first.HostOffset + first.Count);

    private long CompressedBytes(long offset)
    {
        Run run = Step(offset, 1, NextOfLayer).Run;
        return run.Kind == ExtentKind.Compressed ? CompressedRange.FromEntry(run.Descriptor, Header.ClusterBits).Count : 0;
    }

    int ILayer.UnitBits => _layer.UnitBits;

    int ILayer.ClusterBits => _layer.ClusterBits;

    Run ILayer.Next(long offset, long max) => _layer.Next(offset, max);

    void ILayer.Resolve(MapPage page, ushort owner) => _layer.Resolve(page, owner);

    void ILayer.ReadHost(long host, Span<byte> buffer) => _layer.ReadHost(host, buffer);

    void ILayer.ReadCompressed(ulong descriptor, long guestOffset, Span<byte> buffer) => _layer.ReadCompressed(descriptor, guestOffset, buffer);
}
