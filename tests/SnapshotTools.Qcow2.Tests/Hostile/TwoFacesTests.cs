using SnapshotTools.IO;
using SnapshotTools.Testing;
using SnapshotTools.Testing.Files;
using Xunit;

namespace SnapshotTools.Qcow2.Tests.Hostile;

/// <summary>The declared format decides, whatever a guest wrote on its disk; nothing but a regular file is an image.</summary>
public sealed class TwoFacesTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>A disk whose guest wrote a qcow2 header on its first sector that names the host's secrets.</summary>
    private static byte[] DiskWithHeader()
    {
        ImageBytes image = SampleImages.Get("plain");
        byte[] name = "/etc/shadow"u8.ToArray();
        name.CopyTo(image.Bytes, 400);
        image.SetU64(8, 400);
        image.SetU32(16, (uint)name.Length);
        return image.Bytes[..65536];
    }

    private static MemoryFileSystem Files(params (string Path, byte[] Bytes)[] files)
    {
        var memory = new MemoryFileSystem();
        foreach ((string path, byte[] bytes) in files)
        {
            memory.CreateDirectory(Path.GetDirectoryName(path)!);
            using IBlockFile file = memory.Create(path);
            file.Write(0, bytes);
        }
        return memory;
    }

    private static void AssertContent(byte[] expected, IDiskImage image)
    {
        byte[] actual = new byte[expected.Length];
        image.Read(0, actual);
        Assert.True(expected.AsSpan().SequenceEqual(actual));
    }

    [ToolFact("qemu-img", "qemu-io")]
    public void A_raw_disk_with_a_qcow2_header_on_it_is_raw()
    {
        byte[] disk = DiskWithHeader();
        var files = new GuardedFileSystem(Files(("/disk.raw", disk)), "/disk.raw");
        using RawImage image = RawImage.Open(files, "/disk.raw", new ImageOpenOptions());
        Assert.Equal(disk.Length, image.VirtualSize);
        AssertContent(disk, image);
        Assert.Empty(files.Attempts);
    }

    [ToolFact("qemu-img", "qemu-io")]
    public void A_raw_base_with_a_qcow2_header_on_it_is_raw_and_without_a_recorded_format_refused()
    {
        byte[] disk = DiskWithHeader();
        MemoryFileSystem memory = Files(("/disk.raw", disk));
        var files = new GuardedFileSystem(memory, "/disk.raw", "/top.qcow2");
        var trust = new ImageOpenOptions { Backing = BackingPolicy.Allowed, AllowedBacking = ["/disk.raw"] };
        var create = new ImageCreateOptions { VirtualSize = disk.Length, BackingFile = "/disk.raw", BackingFormat = ImageFormat.Raw, Open = trust };
        using (Qcow2Image top = Qcow2Image.Create(files, "/top.qcow2", create)) AssertContent(disk, top);
        Assert.Empty(files.Attempts);

        // The same without the extension that records the format.
        using (IBlockFile file = memory.Open("/top.qcow2", FileOpenMode.ReadWrite))
        {
            byte[] header = new byte[4096];
            file.Read(0, header);
            int at = header.AsSpan().IndexOf(new byte[] { 0xE2, 0x79, 0x2A, 0xCA });
            file.Write(at, [0x12, 0x34, 0x56, 0x78]);
        }
        Assert.Equal(Qcow2ErrorCode.BackingFormatUnknown, Assert.Throws<Qcow2Exception>(() => Qcow2Image.Open(files, "/top.qcow2", trust)).Code);
        Assert.Empty(files.Attempts);
    }

    [ToolFact("qemu-img", "qemu-io")]
    public void A_qcow2_image_declared_raw_is_its_bytes()
    {
        byte[] bytes = SampleImages.Get("plain").Bytes;
        MemoryFileSystem files = Files(("/a.qcow2", bytes));
        using RawImage image = RawImage.Open(files, "/a.qcow2", new ImageOpenOptions());
        AssertContent(bytes, image);
    }

    [Fact]
    public void What_is_no_regular_file_is_no_image()
    {
        string link = _folder.File("link"), real = _folder.File("real");
        File.WriteAllBytes(real, new byte[4096]);
        File.CreateSymbolicLink(link, real);
        List<string> paths = ["/dev/null", "/dev/zero", link, _folder.Path];
        if (Tool.Find("mkfifo") is not null)
        {
            Tool.Run("mkfifo", [_folder.File("fifo")]);
            paths.Add(_folder.File("fifo"));
        }
        foreach (string path in paths)
        {
            Assert.Throws<NotARegularFileException>(() => Qcow2Image.Open(SystemFiles.Instance, path, new ImageOpenOptions()));
            Assert.Throws<NotARegularFileException>(() => RawImage.Open(SystemFiles.Instance, path, new ImageOpenOptions()));
            Assert.Throws<NotARegularFileException>(() => ImageCheck.Run(SystemFiles.Instance, path));
            Assert.Throws<NotARegularFileException>(() => ImageRepair.Plan(SystemFiles.Instance, path, RepairScope.All));
        }
    }

    [ToolFact("qemu-img", "qemu-io")]
    public void A_backing_file_that_is_a_link_out_of_the_allowed_folder_is_not_followed()
    {
        MemoryFileSystem memory = Files(("/secret/x", new byte[4096]));
        memory.CreateDirectory("/ok");
        memory.ReplaceLink("/ok/base", "/secret/x");
        var create = new ImageCreateOptions { VirtualSize = 4096, BackingFile = "base", BackingFormat = ImageFormat.Raw };
        Qcow2Image.Create(memory, "/ok/top.qcow2", create).Dispose();
        var trust = new ImageOpenOptions { Backing = BackingPolicy.Allowed, AllowedBacking = ["/ok"] };
        Assert.Throws<NotARegularFileException>(() => Qcow2Image.Open(memory, "/ok/top.qcow2", trust));
    }
}
