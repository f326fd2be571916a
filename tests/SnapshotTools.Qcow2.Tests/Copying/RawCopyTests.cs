using SnapshotTools.IO;
using SnapshotTools.Qcow2.Tests.Matrix;
using SnapshotTools.Testing;
using SnapshotTools.Testing.Files;
using Xunit;

namespace SnapshotTools.Qcow2.Tests.Copying;

/// <summary>Copies into raw files, judged by qemu-img.</summary>
public sealed class RawCopyTests : IDisposable
{
    private static readonly IFileSystem Files = SystemFiles.Instance;
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Holes_stay_holes_and_zeroes_are_found_when_asked_for(bool detect)
    {
        string image = _folder.File("i.raw");
        byte[] random = new byte[1 << 20];
        new Random(1).NextBytes(random);
        using (IBlockFile file = Files.Create(image))
        {
            file.SetLength(64 << 20);
            file.Write(3 << 20, random);
            file.Write(8 << 20, new byte[8 << 20]);
            file.Write((16 << 20) - 4096, random.AsSpan(0, 4096));
            file.Write((64 << 20) - 100, random.AsSpan(0, 100));
            file.Flush();
        }
        using (IDiskImage source = CopySources.Open(image))
            ImageCopy.ToRaw(source, Files, _folder.File("copy.raw"), new CopyOptions { DetectZeroes = detect });
        Assert.Equal(File.ReadAllBytes(image), File.ReadAllBytes(_folder.File("copy.raw")));
        long allocated = Files.Stat(_folder.File("copy.raw"))!.AllocatedBytes;
        Assert.InRange(allocated, 1 << 20, detect ? 2 << 20 : 10 << 20);
    }

    [Fact]
    public void Progress_ends_at_its_total_and_a_cancelled_copy_goes_on_where_it_was()
    {
        string image = _folder.File("i.raw"), copy = _folder.File("copy.raw");
        byte[] content = new byte[48 << 20];
        new Random(1).NextBytes(content);
        File.WriteAllBytes(image, content);
        using CancellationTokenSource stop = new();
        long resume = 0;
        List<CopyProgress> seen = [];
        CopyOptions options = new() { CheckpointBytes = 8 << 20, MaxStepBytes = 4 << 20, DetectZeroes = true };
        using IDiskImage source = CopySources.Open(image);

        // Stopped in the middle by what it reads.
        int reads = 0;
        using WatchedImage slow = new(source, _ => { if (Interlocked.Increment(ref reads) == 7) stop.Cancel(); });
        Assert.ThrowsAny<OperationCanceledException>(() =>
            ImageCopy.ToRaw(slow, Files, copy, options, new ProgressCall(p => resume = p.ResumeOffset), stop.Token));
        Assert.InRange(resume, 0, 32 << 20);
        Assert.NotEqual(content, File.ReadAllBytes(copy));

        ImageCopy.ToRaw(source, Files, copy, options with { ResumeOffset = resume }, new ProgressCall(seen.Add));
        Assert.Equal(content, File.ReadAllBytes(copy));
        Assert.Equal(new CopyProgress(content.Length - resume, content.Length - resume, content.Length), seen[^1]);
        Assert.Equal(seen.Select(p => p.DoneBytes).Order(), seen.Select(p => p.DoneBytes));
    }

    [Fact]
    public void An_existing_file_is_not_overwritten()
    {
        File.WriteAllBytes(_folder.File("i.raw"), new byte[512]);
        File.WriteAllText(_folder.File("copy.raw"), "kept");
        using IDiskImage source = CopySources.Open(_folder.File("i.raw"));
        Assert.ThrowsAny<IOException>(() => ImageCopy.ToRaw(source, Files, _folder.File("copy.raw")));
        Assert.Equal("kept", File.ReadAllText(_folder.File("copy.raw")));
    }

    [Theory]
    [InlineData(FileCall.Write, FaultKind.NoSpace)]
    [InlineData(FileCall.Write, FaultKind.InputOutput)]
    [InlineData(FileCall.Flush, FaultKind.InputOutput)]
    [InlineData(FileCall.Read, FaultKind.InputOutput)]
    public void A_failure_ends_all_threads_and_is_told(FileCall call, FaultKind kind)
    {
        byte[] content = new byte[20 << 20];
        new Random(1).NextBytes(content);
        File.WriteAllBytes(_folder.File("i.raw"), content);
        FaultyFileSystem faulty = new(Files);
        using RawImage source = RawImage.Open(faulty, _folder.File("i.raw"), new ImageOpenOptions());
        faulty.Fail(call, call == FileCall.Flush ? 1 : 3, kind);
        IOException e = Assert.ThrowsAny<IOException>(() => ImageCopy.ToRaw(source, faulty, _folder.File("copy.raw"), new CopyOptions { DetectZeroes = true }));
        Assert.Equal(kind == FaultKind.NoSpace, e is DiskFullException);
    }

    [MountFact("mkfs.xfs")]
    public void On_xfs_a_copy_shares_the_blocks() => SharesBlocks(ScratchMount.Xfs());

    [MountFact("mkfs.btrfs")]
    public void On_btrfs_a_copy_shares_the_blocks() => SharesBlocks(ScratchMount.Btrfs());

    private static void SharesBlocks(ScratchMount mount)
    {
        using (mount)
        {
            string image = mount.At("i.qcow2"), raw = mount.At("i.raw");
            Tool.Run("qemu-img", ["create", "-q", "-f", "qcow2", image, "200M"]);
            Tool.Run("qemu-io", ["-c", "write -P 7 1M 64M", "-c", "write -P 8 150M 10M", "-c", "write -P 9 199M 1M", image]);
            Tool.Run("sync", ["-f", mount.Path]);
            long before = Files.FreeBytes(mount.Path);
            using (IDiskImage source = CopySources.Open(image)) ImageCopy.ToRaw(source, Files, raw);
            using (IDiskImage source = CopySources.Open(raw)) ImageCopy.ToRaw(source, Files, mount.At("again.raw"));
            Assert.InRange(before - Files.FreeBytes(mount.Path), 0, 5 << 20);
            QemuJudge.AssertIdentical(image, "qcow2", raw, "raw");
            QemuJudge.AssertIdentical(image, "qcow2", mount.At("again.raw"), "raw");
        }
    }
}
