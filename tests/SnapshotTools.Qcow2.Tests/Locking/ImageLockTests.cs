using SnapshotTools.IO;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Qcow2.Tests.Locking;

/// <summary>QEMU's image locks, against real QEMU programs in both directions.</summary>
public sealed class ImageLockTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [ToolTheory("qemu-img", "qemu-io")]
    [InlineData("qcow2", new[] { "-r" }, ImageUse.Read, true)]
    [InlineData("qcow2", new[] { "-r" }, ImageUse.Write, false)]
    [InlineData("qcow2", new string[0], ImageUse.Read, false)]
    [InlineData("qcow2", new string[0], ImageUse.Write, false)]
    [InlineData("qcow2", new[] { "-r", "-U" }, ImageUse.Read, true)]
    [InlineData("qcow2", new[] { "-r", "-U" }, ImageUse.Write, true)]
    [InlineData("raw", new[] { "-r" }, ImageUse.Read, true)]
    [InlineData("raw", new string[0], ImageUse.Read, false)]
    [InlineData("raw", new string[0], ImageUse.Write, false)]
    public void What_qemu_has_open_we_respect(string format, string[] options, ImageUse use, bool allowed)
    {
        string image = Image(format);
        using QemuHolder qemu = QemuHolder.Io(image, format, options);
        using IBlockFile file = Open(image, use);
        Assert.Equal(allowed, ImageLock.IsFree(file, use));
        if (allowed)
        {
            ImageLock.Acquire(file, use);
            return;
        }
        Qcow2Exception e = Assert.Throws<Qcow2Exception>(() => ImageLock.Acquire(file, use));
        Assert.Equal(Qcow2ErrorCode.InUse, e.Code);
        Assert.Contains($"in use by qemu-io (process {qemu.Id})", e.Message, StringComparison.Ordinal);
        qemu.Kill();
        ImageLock.Acquire(file, use);
    }

    [ToolTheory("qemu-img", "qemu-io")]
    [InlineData("qcow2", ImageUse.Read, new[] { "-r" }, true)]
    [InlineData("qcow2", ImageUse.Read, new string[0], false)]
    [InlineData("qcow2", ImageUse.Read, new[] { "-r", "-U" }, true)]
    [InlineData("qcow2", ImageUse.Write, new[] { "-r" }, false)]
    [InlineData("qcow2", ImageUse.Write, new string[0], false)]
    [InlineData("qcow2", ImageUse.Write, new[] { "-r", "-U" }, true)]
    [InlineData("raw", ImageUse.Read, new[] { "-r" }, true)]
    [InlineData("raw", ImageUse.Read, new string[0], false)]
    [InlineData("raw", ImageUse.Write, new string[0], false)]
    public void What_we_have_open_qemu_respects(string format, ImageUse use, string[] options, bool allowed)
    {
        string image = Image(format);
        using IBlockFile file = Open(image, use);
        using (ImageLock.Acquire(file, use))
        {
            (int code, string output) = Tool.TryRun("qemu-io", ["-f", format, .. options, "-c", "read 0 512", image]);
            Assert.True((code == 0) == allowed, output);
            if (!allowed) Assert.Contains("lock", output, StringComparison.Ordinal);
        }
        Tool.Run("qemu-io", ["-f", format, "-c", "write 0 512", image]);
    }

    [ToolTheory("qemu-img", "qemu-storage-daemon")]
    [InlineData(true)]
    [InlineData(false)]
    public void The_storage_daemon_keeps_us_out_and_we_keep_it_out(bool readOnly)
    {
        string image = Image("qcow2");
        using IBlockFile file = Open(image, ImageUse.Write);
        using (QemuHolder daemon = QemuHolder.Daemon(image, readOnly))
        {
            Assert.Equal(readOnly, ImageLock.IsFree(file, ImageUse.Read));
            Qcow2Exception e = Assert.Throws<Qcow2Exception>(() => ImageLock.Acquire(file, ImageUse.Write));
            Assert.Contains($"(process {daemon.Id})", e.Message, StringComparison.Ordinal);
        }
        using ImageLock held = ImageLock.Acquire(file, ImageUse.Write);
        Assert.Throws<InvalidOperationException>(() => QemuHolder.Daemon(image, readOnly));
    }

    [ToolFact("qemu-img")]
    public void Qemu_img_reads_only_what_nobody_writes()
    {
        string image = Image("qcow2");
        using IBlockFile file = Open(image, ImageUse.Write);
        using ImageLock held = ImageLock.Acquire(file, ImageUse.Write);
        Assert.NotEqual(0, Tool.TryRun("qemu-img", ["info", image]).ExitCode);
        Assert.Equal(0, Tool.TryRun("qemu-img", ["info", "-U", image]).ExitCode);
        held.ChangeTo(ImageUse.Read);
        Assert.Equal(0, Tool.TryRun("qemu-img", ["info", image]).ExitCode);
        Assert.NotEqual(0, Tool.TryRun("qemu-img", ["resize", image, "2M"]).ExitCode);
        held.ChangeTo(ImageUse.Write);
        Assert.NotEqual(0, Tool.TryRun("qemu-img", ["info", image]).ExitCode);
    }

    [Fact]
    public void Of_our_own_two_open_files_only_readers_go_together()
    {
        string image = _folder.File("i");
        using IBlockFile a = SystemFiles.Instance.Create(image), b = Open(image, ImageUse.Write);
        using ImageLock first = ImageLock.Acquire(a, ImageUse.Read), second = ImageLock.Acquire(b, ImageUse.Read);
        Qcow2Exception e = Assert.Throws<Qcow2Exception>(() => second.ChangeTo(ImageUse.Write));
        if (OperatingSystem.IsLinux()) Assert.Contains("this process itself", e.Message, StringComparison.Ordinal);
        Assert.Equal(ImageUse.Read, second.Use);

        first.Dispose();
        second.ChangeTo(ImageUse.Write);
        Assert.Throws<Qcow2Exception>(() => ImageLock.Acquire(a, ImageUse.Read));
        Assert.Throws<Qcow2Exception>(() => ImageLock.Acquire(a, ImageUse.Write));
        second.ChangeTo(ImageUse.Read);
        using ImageLock third = ImageLock.Acquire(a, ImageUse.Read);
    }

    [Fact]
    public void An_attempt_that_was_refused_leaves_nothing_locked()
    {
        string image = _folder.File("i");
        using IBlockFile a = SystemFiles.Instance.Create(image), b = Open(image, ImageUse.Write), c = Open(image, ImageUse.Write);
        using (ImageLock.Acquire(a, ImageUse.Write))
        {
            Assert.Throws<Qcow2Exception>(() => ImageLock.Acquire(b, ImageUse.Write));
            Assert.Throws<Qcow2Exception>(() => ImageLock.Acquire(b, ImageUse.Read));
        }
        Assert.False(c.IsLockedByOther(0, 1000, LockKind.Exclusive));
    }

    [Fact]
    public void Closing_the_file_gives_the_lock_back()
    {
        string image = _folder.File("i");
        IBlockFile a = SystemFiles.Instance.Create(image);
        ImageLock.Acquire(a, ImageUse.Write);
        using IBlockFile b = Open(image, ImageUse.Write);
        Assert.False(ImageLock.IsFree(b, ImageUse.Read));
        a.Dispose();
        ImageLock.Acquire(b, ImageUse.Write);
    }

    private static IBlockFile Open(string image, ImageUse use) =>
        SystemFiles.Instance.Open(image, use == ImageUse.Write ? FileOpenMode.ReadWrite : FileOpenMode.Read);

    private string Image(string format)
    {
        string image = _folder.File("image." + format);
        Tool.Run("qemu-img", ["create", "-q", "-f", format, image, "1M"]);
        return image;
    }
}
