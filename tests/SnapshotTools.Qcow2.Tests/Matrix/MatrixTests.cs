using SnapshotTools.IO;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Qcow2.Tests.Matrix;

/// <summary>Images of every feature, made by qemu: we read, map and check them as qemu-img does.</summary>
public abstract class MatrixTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    protected void Judge(string name)
    {
        string path = ImageFactory.Build(ImageMatrix.Get(name), _folder.Path);
        using Qcow2Image image = Qcow2Image.Open(SystemFiles.Instance, path, new ImageOpenOptions { Backing = BackingPolicy.Allowed, AllowedBacking = [_folder.Path] });
        string raw = QemuJudge.ConvertToRaw(path, _folder.File("judge.raw"));
        Assert.Equal(new FileInfo(raw).Length, image.VirtualSize);
        AssertReadsAlike(image, raw);
        Assert.Equal(MapLine.From(QemuJudge.Map(path)), MapLine.From(image.Map(0, image.VirtualSize)));
        AssertChecksAlike(path);
        foreach (InternalSnapshot snapshot in image.ReadSnapshots())
        {
            using IDiskImage old = image.OpenSnapshot(snapshot);
            AssertReadsAlike(old, QemuJudge.ConvertToRaw(path, _folder.File($"{snapshot.Id}.raw"), snapshot.Name));
        }
    }

    private static void AssertChecksAlike(string path)
    {
        QemuCheck judge = QemuJudge.Check(path);
        Assert.True(judge.ExitCode == 0, judge.Output);
        CheckResult check = ImageCheck.Run(SystemFiles.Instance, path);
        Assert.True(check.IsClean, string.Join('\n', check.Findings));
        Assert.Equal(
            (judge.AllocatedClusters, judge.CompressedClusters, judge.ImageEnd),
            (check.AllocatedClusters, check.CompressedClusters, check.ImageEnd));
    }

    private static void AssertReadsAlike(IDiskImage image, string raw)
    {
        using FileStream expected = File.OpenRead(raw);
        byte[] ours = new byte[1 << 20], theirs = new byte[1 << 20];
        // qemu-img shows a snapshot in the size that the image has now; we in the size that it had.
        long end = Math.Min(expected.Length, image.VirtualSize);
        for (long at = 0; at < end; at += ours.Length)
        {
            int count = (int)Math.Min(ours.Length, end - at);
            expected.ReadExactly(theirs, 0, count);
            image.Read(at, ours.AsSpan(0, count));
            int differs = ours.AsSpan(0, count).CommonPrefixLength(theirs.AsSpan(0, count));
            Assert.True(differs == count, $"{image.Path} differs from {raw} at {at + differs}");
        }
        var random = new Random(1);
        for (int i = 0; i < 50; i++)
        {
            long at = random.NextInt64(end);
            int count = (int)Math.Min(end - at, random.Next(1, 10_000));
            expected.Position = at;
            expected.ReadExactly(theirs, 0, count);
            image.Read(at, ours.AsSpan(0, count));
            Assert.True(ours.AsSpan(0, count).SequenceEqual(theirs.AsSpan(0, count)), $"{image.Path} differs from {raw} in {at} to {at + count}");
        }
    }

    /// <summary>A range of a map, as far as both sides tell it: QEMU gives no place for compressed data, and other
    /// places for zeroes.</summary>
    private sealed record MapLine(long Start, long End, ExtentKind Kind, int Layer, long Host)
    {
        public static List<MapLine> From(IEnumerable<QemuRange> ranges) => Merge(ranges.Select(r =>
        {
            ExtentKind kind = r.Data ? r.Offset is null ? ExtentKind.Compressed : ExtentKind.Data : r.Present ? ExtentKind.Zero : ExtentKind.Unallocated;
            return new MapLine(r.Start, r.Start + r.Length, kind, kind == ExtentKind.Unallocated ? 0 : r.Depth, kind == ExtentKind.Data ? r.Offset!.Value : -1);
        }));

        public static List<MapLine> From(IEnumerable<MapExtent> extents) => Merge(extents.Select(e =>
            new MapLine(e.Offset, e.End, e.Kind, e.Kind == ExtentKind.Unallocated ? 0 : e.Layer, e.Kind == ExtentKind.Data ? e.HostOffset : -1)));

        private static List<MapLine> Merge(IEnumerable<MapLine> lines)
        {
            List<MapLine> merged = [];
            foreach (MapLine line in lines)
            {
                bool continues = merged.Count > 0 && merged[^1].End == line.Start && merged[^1].Kind == line.Kind && merged[^1].Layer == line.Layer
                    && (line.Host < 0 || line.Host == merged[^1].Host + (line.Start - merged[^1].Start));
                if (continues) merged[^1] = merged[^1] with { End = line.End };
                else merged.Add(line);
            }
            return merged;
        }
    }
}

/// <summary>Half of the matrix; the other half runs beside it.</summary>
public sealed class MatrixOneTests : MatrixTests
{
    public static IEnumerable<object[]> Names => ImageMatrix.Names().Where((_, i) => i % 2 == 0);

    [ToolTheory("qemu-img", "qemu-io")]
    [MemberData(nameof(Names))]
    public void Image_is_read_mapped_and_checked_as_by_qemu(string name) => Judge(name);
}

/// <summary>The other half.</summary>
public sealed class MatrixTwoTests : MatrixTests
{
    public static IEnumerable<object[]> Names => ImageMatrix.Names().Where((_, i) => i % 2 == 1);

    [ToolTheory("qemu-img", "qemu-io")]
    [MemberData(nameof(Names))]
    public void Image_is_read_mapped_and_checked_as_by_qemu(string name) => Judge(name);
}
