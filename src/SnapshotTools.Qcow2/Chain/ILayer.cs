namespace SnapshotTools.Qcow2;

/// <summary>One file of a chain by itself: what it holds of a guest's disk, and the bytes.</summary>
internal interface ILayer
{
    /// <summary>Its file, for messages.</summary>
    string Path { get; }

    /// <summary>Its own size; what is below it does not show beyond.</summary>
    long VirtualSize { get; }

    /// <summary>log2 of the smallest unit that it allocates by itself.</summary>
    int UnitBits { get; }

    /// <summary>log2 of its clusters: a compressed one is read by itself.</summary>
    int ClusterBits { get; }

    /// <summary>How the bytes from an offset on are held, at most <paramref name="max"/> of them.</summary>
    Run Next(long offset, long max);

    /// <summary>Fills in those units of a page that are still unresolved and that this layer holds.</summary>
    void Resolve(MapPage page, ushort owner);

    /// <summary>Reads data at a host offset.</summary>
    void ReadHost(long host, Span<byte> buffer);

    /// <summary>Reads a part of a compressed cluster.</summary>
    void ReadCompressed(ulong descriptor, long guestOffset, Span<byte> buffer);
}
