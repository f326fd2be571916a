namespace SnapshotTools.Qcow2;

/// <content>What is inside of an image beside its disk: snapshots and bitmaps.</content>
public sealed partial class Qcow2Image
{
    /// <summary>Reads the list of internal snapshots.</summary>
    /// <exception cref="Qcow2Exception">The table of snapshots is damaged.</exception>
    public IReadOnlyList<InternalSnapshot> ReadSnapshots() => SnapshotTable.Read(_file, Header).Snapshots;

    /// <summary>Reads the directory of persistent bitmaps.</summary>
    /// <exception cref="Qcow2Exception">The directory is damaged.</exception>
    public BitmapDirectory ReadBitmaps() => BitmapDirectoryReader.Read(_file, Header, Extensions);

    /// <summary>Opens an internal snapshot for reading. It needs this image to stay open, and does not close it.</summary>
    /// <exception cref="Qcow2Exception">Its L1 table is not where a table can be.</exception>
    public IDiskImage OpenSnapshot(InternalSnapshot snapshot)
    {
        long size = snapshot.VirtualSize ?? VirtualSize;
        if (size % Limits.Sector != 0) throw InvalidSnapshot(snapshot, $"has a disk of {size} bytes, which is not a multiple of {Limits.Sector}");
        if (_layer.Geometry.L1EntriesFor(size) > snapshot.L1Entries)
            throw InvalidSnapshot(snapshot, $"has {snapshot.L1Entries} L1 entries, and its size needs {_layer.Geometry.L1EntriesFor(size)}");
        if (snapshot.L1Entries > 0 && (snapshot.L1Offset == 0 || !_layer.Geometry.IsAligned(snapshot.L1Offset)))
            throw InvalidSnapshot(snapshot, $"has its L1 table at {snapshot.L1Offset}, which is not the start of a cluster");
        if (snapshot.L1Offset > _file.Length - (snapshot.L1Entries * 8L))
        {
            throw new Qcow2Exception(Qcow2ErrorCode.Truncated, Path,
                $"The L1 table of snapshot '{Printable.Text(snapshot.Name)}' of '{Path}' at {snapshot.L1Offset} goes past the end of the file at {_file.Length}.");
        }
        Qcow2Header header = Header with { L1Offset = snapshot.L1Offset, L1Entries = snapshot.L1Entries, VirtualSize = size };
        return new SnapshotDisk(this, MakeView(new Qcow2Layer(_file, header, _options.CacheBytes / 2)), size);
    }

    private Qcow2Exception InvalidSnapshot(InternalSnapshot snapshot, string cause) =>
        new(Qcow2ErrorCode.InvalidTable, Path, $"The snapshot '{Printable.Text(snapshot.Name)}' of '{Path}' {cause}. The image is damaged: check it.");

    /// <summary>The disk as it was when an internal snapshot was taken.</summary>
    private sealed class SnapshotDisk(Qcow2Image image, GuestView view, long size) : IDiskImage
    {
        public string Path => image.Path;

        public long VirtualSize => size;

        public bool CanWrite => false;

        public void Read(long offset, Span<byte> buffer)
        {
            GuestRange.Check(this, offset, buffer.Length);
            view.Read(offset, buffer);
        }

        public IEnumerable<MapExtent> Map(long offset, long count)
        {
            GuestRange.Check(this, offset, count);
            return image.Merge(offset, offset + count, (at, max) => image.NextOf(view, at, max));
        }

        public void Dispose()
        {
        }
    }
}
