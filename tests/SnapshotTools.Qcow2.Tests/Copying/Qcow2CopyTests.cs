using SnapshotTools.IO;
using SnapshotTools.Qcow2.Tests.Matrix;
using SnapshotTools.Testing;
using SnapshotTools.Testing.Files;
using Xunit;

namespace SnapshotTools.Qcow2.Tests.Copying;

/// <summary>Copies into qcow2 images, new ones and overlays that are to stand alone; judged by qemu-img.</summary>
public sealed class Qcow2CopyTests : IDisposable
{
    private static readonly IFileSystem Files = SystemFiles.Instance;
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [ToolTheory("qemu-img", "qemu-io")]
    [InlineData(512, false, 2)]
    [InlineData(4096, false, 3)]
    [InlineData(2 << 20, false, 3)]
    [InlineData(65536, true, 3)]
    public void Every_kind_of_target_takes_a_copy(int clusterSize, bool extended, int version)
    {
        string image = ImageFactory.Build(ImageMatrix.Get("chain larger, smaller, larger"), _folder.Path), copy = _folder.File("copy.qcow2");
        using (IDiskImage source = CopySources.Open(image))
        {
            ImageCreateOptions create = new() { VirtualSize = source.VirtualSize + (1 << 20), ClusterSize = clusterSize, ExtendedL2 = extended, Version = version };
            ImageCopy.ToQcow2(source, Files, copy, create);
        }
        QemuJudge.AssertClean(copy);
        QemuJudge.AssertIdentical(image, "qcow2", copy, "qcow2");
    }

    [Fact]
    public void A_cancelled_copy_is_a_good_image_and_goes_on_where_it_was()
    {
        string image = _folder.File("i.raw"), copy = _folder.File("copy.qcow2");
        byte[] content = new byte[48 << 20];
        new Random(1).NextBytes(content);
        File.WriteAllBytes(image, content);
        using CancellationTokenSource stop = new();
        long resume = 0;
        int reads = 0;
        using IDiskImage source = CopySources.Open(image);
        using WatchedImage watched = new(source, _ => { if (Interlocked.Increment(ref reads) == 7) stop.Cancel(); });
        ImageCreateOptions create = new() { VirtualSize = content.Length };
        CopyOptions options = new() { CheckpointBytes = 8 << 20, MaxStepBytes = 4 << 20 };
        Assert.ThrowsAny<OperationCanceledException>(() =>
            ImageCopy.ToQcow2(watched, Files, copy, create, options, new ProgressCall(p => resume = p.ResumeOffset), stop.Token));
        Assert.True(ImageCheck.Run(Files, copy).IsClean);
        Assert.InRange(resume, 4 << 20, 32 << 20);
        ImageCopy.ToQcow2(source, Files, copy, create, options with { ResumeOffset = resume });
        Assert.True(ImageCheck.Run(Files, copy).IsClean);
        using IDiskImage result = CopySources.Open(copy);
        Assert.Null(ImageCompare.FirstDifference(source, result));
    }

    [ToolFact("qemu-img")]
    public void Compressed_clusters_are_written_together()
    {
        byte[] content = new byte[32 << 20];
        new Random(5).NextBytes(content.AsSpan(0, content.Length / 2));
        for (int i = 0; i < content.Length; i += 2) content[i] = 1;
        File.WriteAllBytes(_folder.File("i.raw"), content);
        string image = _folder.File("i.qcow2"), copy = _folder.File("copy.qcow2");
        Tool.Run("qemu-img", ["convert", "-c", "-f", "raw", "-O", "qcow2", _folder.File("i.raw"), image]);
        RecordingFileSystem recording = new(Files);
        using (IDiskImage source = CopySources.Open(image))
            ImageCopy.ToQcow2(source, recording, copy, new ImageCreateOptions { VirtualSize = content.Length });
        // 512 clusters, in steps of 8 MiB; the rest are tables.
        Assert.InRange(recording.Effects.OfType<FileEffect.Written>().Count(w => w.Data.Length >= 64 << 10), 4, 12);
        QemuJudge.AssertIdentical(image, "qcow2", copy, "qcow2");
    }

    [Fact]
    public void Zeroes_in_the_data_become_holes_when_asked_for()
    {
        string image = _folder.File("i.raw");
        File.WriteAllBytes(image, [.. new byte[4 << 20], 1, .. new byte[(4 << 20) - 1]]);
        using IDiskImage source = CopySources.Open(image);
        ImageCopy.ToQcow2(source, Files, _folder.File("a"), new ImageCreateOptions { VirtualSize = 8 << 20 }, new CopyOptions { DetectZeroes = true });
        using Qcow2Image result = Qcow2Image.Open(Files, _folder.File("a"), new ImageOpenOptions());
        Assert.Equal(64 << 10, result.GetUsage().DataBytes);
        Assert.Null(ImageCompare.FirstDifference(source, result));
    }

    [Fact]
    public void A_smaller_target_and_one_with_a_backing_file_are_refused_before_a_file_is_made()
    {
        File.WriteAllBytes(_folder.File("i.raw"), new byte[1 << 20]);
        using IDiskImage source = CopySources.Open(_folder.File("i.raw"));
        Assert.Throws<ArgumentException>(() => ImageCopy.ToQcow2(source, Files, _folder.File("a"), new ImageCreateOptions { VirtualSize = 512 }));
        ImageCreateOptions over = new() { VirtualSize = 1 << 20, BackingFile = "i.raw", BackingFormat = ImageFormat.Raw };
        Assert.Throws<ArgumentException>(() => ImageCopy.ToQcow2(source, Files, _folder.File("a"), over));
        Assert.Null(Files.Stat(_folder.File("a")));
    }

    [Theory]
    [InlineData(FileCall.Write, FaultKind.NoSpace)]
    [InlineData(FileCall.Write, FaultKind.InputOutput)]
    [InlineData(FileCall.Flush, FaultKind.InputOutput)]
    public void A_failure_is_told_and_what_there_is_of_the_copy_is_a_good_image(FileCall call, FaultKind kind)
    {
        byte[] content = new byte[20 << 20];
        new Random(1).NextBytes(content);
        File.WriteAllBytes(_folder.File("i.raw"), content);
        using IDiskImage source = CopySources.Open(_folder.File("i.raw"));
        for (int n = 1; n < 8; n++)
        {
            FaultyFileSystem faulty = new(Files);
            faulty.Fail(call, n, kind, always: true);
            Exception? failure = Record.Exception(() => ImageCopy.ToQcow2(source, faulty, _folder.File($"copy{n}"), new ImageCreateOptions { VirtualSize = content.Length }));
            if (!faulty.Fired) break;
            Assert.Equal(kind == FaultKind.NoSpace, Assert.IsAssignableFrom<IOException>(failure) is DiskFullException);
            if (Files.Stat(_folder.File($"copy{n}")) is { Length: > 0 } && n > 3) Assert.Equal(0, ImageCheck.Run(Files, _folder.File($"copy{n}")).Errors);
        }
    }

    [MountFact("mkfs.xfs")]
    public void On_xfs_a_copy_shares_the_blocks() => SharesBlocks(ScratchMount.Xfs());

    [MountFact("mkfs.btrfs")]
    public void On_btrfs_a_copy_shares_the_blocks() => SharesBlocks(ScratchMount.Btrfs());

    private static void SharesBlocks(ScratchMount mount)
    {
        using (mount)
        {
            string image = mount.At("i.qcow2"), overlay = mount.At("o.qcow2"), copy = mount.At("copy.qcow2");
            Tool.Run("qemu-img", ["create", "-q", "-f", "qcow2", image, "200M"]);
            Tool.Run("qemu-io", ["-c", "write -P 7 1M 64M", "-c", "write -P 8 150M 10M", image]);
            Tool.Run("qemu-img", ["create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", overlay]);
            Tool.Run("qemu-io", ["-c", "write -P 9 30M 2M", overlay]);
            Tool.Run("sync", ["-f", mount.Path]);
            long before = Files.FreeBytes(mount.Path);
            using (Qcow2Image source = Qcow2Image.Open(Files, overlay, CopySources.Within(mount.Path)))
                ImageCopy.ToQcow2(source, Files, copy, new ImageCreateOptions { VirtualSize = source.VirtualSize });
            Assert.InRange(before - Files.FreeBytes(mount.Path), 0, 5 << 20);
            QemuJudge.AssertClean(copy);
            QemuJudge.AssertIdentical(overlay, "qcow2", copy, "qcow2");

            // A lone image of the same layout is shared as a whole; one that keeps what a copy does not is not.
            ClonesWhole(mount, image, whole: true);
            Tool.Run("qemu-img", ["bitmap", "--add", image, "b"]);
            ClonesWhole(mount, image, whole: false);
        }
    }

    private static void ClonesWhole(ScratchMount mount, string image, bool whole)
    {
        string copy = mount.At("whole.qcow2");
        byte[] before = File.ReadAllBytes(image);
        var mine = new HeaderExtension(0x12345678, "of the copy"u8.ToArray());
        var seen = new List<CopyProgress>();
        using (Qcow2Image source = Qcow2Image.Open(Files, image, new ImageOpenOptions()))
            ImageCopy.ToQcow2(source, Files, copy, new ImageCreateOptions { VirtualSize = source.VirtualSize, Extensions = [mine] }, progress: new Immediate(seen));
        QemuJudge.AssertIdentical(image, "qcow2", copy, "qcow2");
        using (Qcow2Image made = Qcow2Image.Open(Files, copy, new ImageOpenOptions { Write = true }))
        {
            HeaderExtension extension = Assert.Single(made.Extensions);
            Assert.Equal(mine.Type, extension.Type);
            Assert.Equal(mine.Data.ToArray(), extension.Data.ToArray());
            made.Write(2 << 20, new byte[300_000]);   // it is its own from here on
        }
        Assert.Equal(before, File.ReadAllBytes(image));
        Assert.Equal(whole, new FileInfo(copy).Length >= new FileInfo(image).Length && seen.Count == 1);
        QemuJudge.AssertClean(copy);
        File.Delete(copy);
    }

    private sealed class Immediate(List<CopyProgress> seen) : IProgress<CopyProgress>
    {
        public void Report(CopyProgress value) => seen.Add(value);
    }
}
