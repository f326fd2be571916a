namespace SnapshotTools.Qcow2;

public sealed partial class Qcow2Image
{
    /// <summary>
    /// Lets this new image share all blocks of the file of one that is laid out alike, where the file system can (FICLONE): it takes
    /// no longer for a large disk than for a small one. Only the header cluster is this image's own.
    /// </summary>
    /// <returns>False when the images differ in layout or the file system shares no blocks; nothing was done then.</returns>
    /// <exception cref="IOException">Cloning or writing failed; the image is as far as it came.</exception>
    internal bool TryBecomeCloneOf(Qcow2Image source)
    {
        Qcow2Header theirs = source.Header, mine = Header;
        bool alike = theirs.Version == mine.Version && theirs.VirtualSize == mine.VirtualSize && theirs.ClusterBits == mine.ClusterBits && theirs.RefcountOrder == mine.RefcountOrder
            && theirs.IncompatibleFeatures == mine.IncompatibleFeatures && theirs.CompressionType == mine.CompressionType && theirs.HeaderLength == mine.HeaderLength && theirs.UnknownFields.IsEmpty;
        // What a full copy leaves behind, internal snapshots and bitmaps, would lie in the clone and belong to nobody.
        bool plain = theirs is { BackingFile: null, SnapshotCount: 0, AutoclearFeatures: 0 }
            && source.Extensions.All(e => e.Type is not (HeaderExtension.Bitmaps or HeaderExtension.Encryption or HeaderExtension.ExternalDataFile));
        if (!alike || !plain || _file.Length > source._file.Length) return false;
        byte[] cluster = new byte[mine.ClusterSize];
        (byte[] header, _) = HeaderLayout.Compact(theirs with { CompatibleFeatures = mine.CompatibleFeatures }, Extensions);
        if (header.Length > cluster.Length || !source._file.TryClone(_file)) return false;
        header.CopyTo(cluster, 0);
        _file.Write(0, cluster);
        _file.Flush();
        return true;
    }
}
