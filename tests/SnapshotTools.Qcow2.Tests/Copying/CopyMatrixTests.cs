using System.Text.Json;
using SnapshotTools.IO;
using SnapshotTools.Qcow2.Tests.Matrix;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Qcow2.Tests.Copying;

/// <summary>Copies and comparisons of real images of many kinds, judged by qemu-img.</summary>
public sealed class CopyMatrixTests : IDisposable
{
    private static readonly IFileSystem Files = SystemFiles.Instance;
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [ToolTheory("qemu-img", "qemu-io")]
    [MemberData(nameof(CopySources.Names), MemberType = typeof(CopySources))]
    public void Every_copy_is_what_qemu_img_sees(string recipe)
    {
        string image = ImageFactory.Build(ImageMatrix.Get(recipe), _folder.Path), format = Path.GetExtension(image)[1..];
        string theirs = _folder.File("theirs.raw"), raw = _folder.File("copy.raw"), qcow2 = _folder.File("copy.qcow2");
        Tool.Run("qemu-img", ["convert", "-f", format, "-O", "raw", image, theirs]);
        using (IDiskImage source = CopySources.Open(image))
        {
            ImageCopy.ToRaw(source, Files, raw);
            ImageCopy.ToQcow2(source, Files, qcow2, new ImageCreateOptions { VirtualSize = source.VirtualSize }, new CopyOptions { DetectZeroes = recipe.Length % 2 == 0 });
        }
        QemuJudge.AssertIdentical(theirs, "raw", raw, "raw");
        QemuJudge.AssertIdentical(theirs, "raw", qcow2, "qcow2");
        QemuJudge.AssertClean(qcow2);
        Assert.DoesNotContain("backing", Tool.Run("qemu-img", ["info", qcow2]), StringComparison.Ordinal);
        Tool.Run("qemu-img", ["convert", "-f", format, "-O", "qcow2", "-S", "0", image, _folder.File("theirs.qcow2")]);
        Assert.InRange(new FileInfo(qcow2).Length, 0, new FileInfo(_folder.File("theirs.qcow2")).Length + (64 << 10));

        FindsTheFirstDifference(image, theirs);
    }

    [ToolTheory("qemu-img", "qemu-io")]
    [MemberData(nameof(CopySources.Names), MemberType = typeof(CopySources))]
    public void An_overlay_that_was_filled_reads_the_same_without_its_backing_files(string recipe)
    {
        string image = ImageFactory.Build(ImageMatrix.Get(recipe), _folder.Path), overlay = _folder.File("overlay.qcow2");
        string format = Path.GetExtension(image)[1..];
        long size = SizeOf(image, format);
        Tool.Run("qemu-img", ["create", "-q", "-f", "qcow2", "-b", image, "-F", format, overlay, $"{size + 65536}"]);
        Tool.Run("qemu-io", ["-c", "write -P 5 0 512", "-c", $"write -z {size} 65536", overlay]);
        Tool.Run("qemu-img", ["convert", "-O", "raw", overlay, _folder.File("before.raw")]);
        using (Qcow2Image target = Qcow2Image.Open(Files, overlay, CopySources.Within(_folder.Path, write: true)))
        {
            ImageCopy.FillFromBacking(target);
            List<CopyProgress> again = [];
            ImageCopy.FillFromBacking(target, progress: new ProgressCall(again.Add));
            Assert.Equal(0, again[^1].TotalBytes);
            target.SetBacking(null, null);
        }
        QemuJudge.AssertClean(overlay);
        QemuJudge.AssertIdentical(overlay, "qcow2", _folder.File("before.raw"), "raw");
    }

    private static void FindsTheFirstDifference(string image, string copy)
    {
        Assert.Null(Difference(image, copy));
        Random random = new(7);
        long size = new FileInfo(copy).Length, at = random.NextInt64(size);
        using (FileStream file = File.Open(copy, FileMode.Open))
        {
            foreach (long position in new[] { at, Math.Min(at + 100_000, size - 1) }.Distinct())
            {
                file.Position = position;
                int old = file.ReadByte();
                file.Position = position;
                file.WriteByte((byte)(old + 1));
            }
        }
        Assert.Equal(at, Difference(image, copy));
        Assert.Equal(at, Difference(copy, image));
    }

    private static long? Difference(string first, string second)
    {
        using IDiskImage a = CopySources.Open(first), b = CopySources.Open(second);
        return ImageCompare.FirstDifference(a, b);
    }

    private static long SizeOf(string image, string format)
    {
        using JsonDocument info = JsonDocument.Parse(Tool.Run("qemu-img", ["info", "-f", format, "--output=json", image]));
        return info.RootElement.GetProperty("virtual-size").GetInt64();
    }
}
