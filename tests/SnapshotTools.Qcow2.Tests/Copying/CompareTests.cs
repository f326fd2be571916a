using SnapshotTools.IO;
using SnapshotTools.Qcow2.Tests.Matrix;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Qcow2.Tests.Copying;

/// <summary>Comparing images, judged by qemu-img and by comparing the bytes.</summary>
public sealed class CompareTests : IDisposable
{
    private static readonly IFileSystem Files = SystemFiles.Instance;
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [ToolFact("qemu-img", "qemu-io")]
    public void Of_two_overlays_of_one_base_only_what_they_hold_is_read()
    {
        string below = _folder.File("base.qcow2"), a = _folder.File("a.qcow2"), b = _folder.File("b.qcow2");
        Tool.Run("qemu-img", ["create", "-q", "-f", "qcow2", below, "64M"]);
        Tool.Run("qemu-io", ["-c", "write -P 1 0 32M", below]);
        foreach (string overlay in new[] { a, b }) Tool.Run("qemu-img", ["create", "-q", "-f", "qcow2", "-b", below, "-F", "qcow2", overlay]);
        Tool.Run("qemu-io", ["-c", "write -P 1 1M 64k", "-c", "write -z 40M 1M", b]);
        using IDiskImage first = CopySources.Open(a), second = CopySources.Open(b);
        long bytes = 0;
        using WatchedImage counted = new(second, n => Interlocked.Add(ref bytes, n));
        Assert.Null(ImageCompare.FirstDifference(first, second));
        Assert.Null(ImageCompare.FirstDifference(first, counted));
        Assert.True(bytes > 0);
        List<CopyProgress> seen = [];
        ImageCompare.FirstDifference(first, second, new ProgressCall(seen.Add));
        Assert.Equal(64 << 10, seen[^1].TotalBytes);
    }

    [Fact]
    public void Where_one_is_longer_the_other_counts_as_zeroes()
    {
        File.WriteAllBytes(_folder.File("a.raw"), [.. Enumerable.Repeat((byte)1, 512)]);
        File.WriteAllBytes(_folder.File("b.raw"), [.. Enumerable.Repeat((byte)1, 512), .. new byte[3 << 20]]);
        Assert.Null(Difference(_folder.File("a.raw"), _folder.File("b.raw")));
        File.WriteAllBytes(_folder.File("c.raw"), [.. Enumerable.Repeat((byte)1, 512), .. new byte[3 << 20], .. new byte[511], 1]);
        Assert.Equal(512 + (3 << 20) + 511, Difference(_folder.File("a.raw"), _folder.File("c.raw")));
    }

    [Fact]
    public void All_differences_are_found_in_whole_blocks()
    {
        Random random = new(3);
        byte[] content = new byte[(3 << 20) + 512];
        random.NextBytes(content.AsSpan(1 << 20, 1 << 20));
        File.WriteAllBytes(_folder.File("a.raw"), content);
        int[] changed = [0, 70_000, 70_001, 131_072, 1 << 20, (2 << 20) + 65_535, (3 << 20) + 511];
        foreach (int at in changed) content[at]++;
        File.WriteAllBytes(_folder.File("b.raw"), content);
        using IDiskImage a = CopySources.Open(_folder.File("a.raw")), b = CopySources.Open(_folder.File("b.raw"));
        Assert.Equal(
            [(0, 3 << 16), (1 << 20, 1 << 16), (2 << 20, 1 << 16), (3 << 20, 512)],
            ImageCompare.Differences(a, b).Select(d => ((int)d.Offset, (int)d.Count)));
        Assert.Equal(7 - 1, ImageCompare.Differences(a, b, 512).Count());
        Assert.Empty(ImageCompare.Differences(a, a));
    }

    private static long? Difference(string first, string second)
    {
        using IDiskImage a = CopySources.Open(first), b = CopySources.Open(second);
        return ImageCompare.FirstDifference(a, b);
    }
}
