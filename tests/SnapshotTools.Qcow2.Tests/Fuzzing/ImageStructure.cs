using SnapshotTools.Qcow2.Tests.Hostile;
using SnapshotTools.Testing.Files;

namespace SnapshotTools.Qcow2.Tests.Fuzzing;

/// <summary>A part of an image that means something.</summary>
public sealed record Area(string Name, long Offset, int Length, int Entry);

/// <summary>Where in a sample the header, the tables and the compressed data are, and the values that are worth trying.</summary>
public sealed class ImageStructure
{
    private ImageStructure(string sample)
    {
        Sample = sample;
        ImageBytes image = SampleImages.Get(sample);
        Length = image.Bytes.Length;
        ClusterSize = image.ClusterSize;
        Areas = [.. Find(image)];
        Offsets = [0, .. Areas.Select(a => a.Offset), Length, Length & -ClusterSize, image.DataCluster(SampleImages.Data), image.DataCluster(SampleImages.OtherTable)];
    }

    private static readonly Dictionary<string, ImageStructure> Known = [];

    public string Sample { get; }

    public long Length { get; }

    public int ClusterSize { get; }

    public IReadOnlyList<Area> Areas { get; }

    /// <summary>Host offsets at which something begins.</summary>
    public IReadOnlyList<long> Offsets { get; }

    public static ImageStructure Of(string sample)
    {
        lock (Known) return Known.TryGetValue(sample, out ImageStructure? found) ? found : Known[sample] = new ImageStructure(sample);
    }

    private static IEnumerable<Area> Find(ImageBytes image)
    {
        bool v2 = image.U32(4) == 2;
        int headerLength = v2 ? 72 : (int)image.U32(100);
        yield return new("header", 0, headerLength, 4);
        yield return new("extensions", headerLength, Math.Min(512, image.ClusterSize - headerLength), 4);
        yield return new("L1", image.L1Offset, image.L1Entries * 8, 8);
        yield return new("refcount table", image.RefcountTableOffset, 64, 8);
        for (int i = 0; i < image.ClusterSize / 8; i++)
            if (image.U64(image.RefcountTablePlace(i)) is not 0 and var block) yield return new("refcount block", (long)block, Math.Min(image.ClusterSize, 256), 2);
        int step = image.ExtendedL2 ? 16 : 8;
        var tables = new SortedSet<long>();
        for (int i = 0; i < image.L1Entries; i++)
            if ((long)(image.U64(image.L1Offset + (i * 8L)) & ImageBytes.OffsetMask) is not 0 and var table) tables.Add(table);

        using Qcow2Image reader = Qcow2Image.Open(image.ToMemory(), "/a.qcow2", new ImageOpenOptions());
        IReadOnlyList<InternalSnapshot> snapshots = reader.ReadSnapshots();
        if (snapshots.Count > 0) yield return new("snapshot table", image.SnapshotsOffset, 80 * snapshots.Count, 4);
        foreach (InternalSnapshot snapshot in snapshots)
        {
            yield return new("snapshot L1", snapshot.L1Offset, snapshot.L1Entries * 8, 8);
            for (int i = 0; i < snapshot.L1Entries; i++)
                if ((long)(image.U64(snapshot.L1Offset + (i * 8L)) & ImageBytes.OffsetMask) is not 0 and var table) tables.Add(table);
        }
        BitmapDirectory bitmaps = reader.ReadBitmaps();
        if (bitmaps.Bitmaps.Count > 0) yield return new("bitmap directory", bitmaps.Offset, (int)bitmaps.Bytes, 4);
        foreach (PersistentBitmap bitmap in bitmaps.Bitmaps) yield return new("bitmap table", bitmap.TableOffset, bitmap.TableEntries * 8, 8);
        foreach (long table in tables)
        {
            // The entries in use, and a few beside them.
            int used = Enumerable.Range(0, image.ClusterSize / step).LastOrDefault(n => image.U64(table + (n * (long)step)) != 0);
            yield return new("L2", table, Math.Min(image.ClusterSize, (used + 4) * step), 8);
        }
        foreach (MapExtent extent in reader.Map(0, reader.VirtualSize).Where(e => e.Kind == ExtentKind.Compressed).Take(2))
            yield return new("compressed data", extent.HostOffset, 32, 1);
    }
}
