using SnapshotTools.Core;
using SnapshotTools.IO;
using SnapshotTools.Qemu.Memory;
using SnapshotTools.Qemu.Tests.Live;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Qemu.Tests.Memory;

/// <summary>The file of a memory, without QEMU.</summary>
public sealed class MemoryImageTests : IDisposable
{
    private static readonly MemoryImageHeader Header = new("7.2", "pc-q35-7.2", DateTimeOffset.UnixEpoch);
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task What_was_written_by_several_threads_is_read_in_order()
    {
        foreach (int length in new[] { 0, 1, (1 << 20) - 1, 1 << 20, (9 << 20) + 4711 })
        {
            byte[] content = Content(length);
            using var file = SystemFiles.Instance.Create(_folder.File($"memory-{length}"));
            var size = await MemoryImage.WriteAsync(new MemoryStream(content), file, Header, () => Task.CompletedTask);
            Assert.Equal(length, size.StreamBytes);
            Assert.Equal(file.Length, size.FileBytes);
            Assert.Equal(Header, MemoryImage.ReadHeader(file));
            using var read = new MemoryStream();
            await MemoryImage.ReadAsync(file, read);
            Assert.Equal(content, read.ToArray());
        }
    }

    [Fact]
    public async Task A_stream_is_read_to_its_end_when_the_disk_is_full_and_when_nobody_wants_it()
    {
        using var source = new MemoryStream(Content(20 << 20));
        using var full = new FullDisk(SystemFiles.Instance.Create(_folder.File("full")), room: 2 << 20);
        await Assert.ThrowsAsync<DiskFullException>(() => MemoryImage.WriteAsync(source, full, Header, () => Task.CompletedTask));
        Assert.Equal(source.Length, source.Position);

        source.Position = 0;
        using var unwanted = SystemFiles.Instance.Create(_folder.File("unwanted"));
        await Assert.ThrowsAsync<IOException>(() => MemoryImage.WriteAsync(source, unwanted, Header, () => Task.CompletedTask, () => source.Position > 4 << 20));
        Assert.Equal(source.Length, source.Position);
        await Assert.ThrowsAsync<MemoryImageException>(() => MemoryImage.ReadAsync(unwanted, Stream.Null));
    }

    [MountFact("mkfs.xfs", PageCache.Judge)]
    public async Task A_large_memory_leaves_the_cache_to_others_as_it_is_written()
    {
        const int MiB = 1 << 20, Length = 128 * MiB;
        using var mount = ScratchMount.Xfs();
        byte[] content = new byte[Length];
        new Random(5).NextBytes(content);
        using var file = SystemFiles.Instance.Create(mount.At("memory"));
        var pipe = new System.IO.Pipelines.Pipe();
        var writing = MemoryImage.WriteAsync(pipe.Reader.AsStream(), file, Header, () => Task.CompletedTask);
        for (int at = 0; at < Length; at += MiB)
        {
            await pipe.Writer.WriteAsync(content.AsMemory(at, MiB));
            await Task.Delay(2);    // the disk follows
        }
        await pipe.Writer.CompleteAsync();
        await writing;
        Assert.InRange(PageCache.BytesOf(file.Path), 0, Length / 2);
        using var read = new MemoryStream();
        await MemoryImage.ReadAsync(file, read);
        Assert.Equal(content, read.ToArray());
    }

    [Fact]
    public async Task What_does_not_compress_is_stored_and_any_damage_to_it_is_found()
    {
        if (!ZstdNative.IsAvailable) return;
        byte[] content = new byte[(3 << 20) + 12345];
        new Random(11).NextBytes(content);
        content.AsSpan(1 << 20, 32 << 10).Clear();      // three parts in a hundred of the second MiB
        using var file = SystemFiles.Instance.Create(_folder.File("noise"));
        await MemoryImage.WriteAsync(new MemoryStream(content), file, Header, () => Task.CompletedTask);
        byte[] image = new byte[file.Length];
        file.Read(0, image);

        int header = ZstdFrame.SizeOf(image);
        int first = ZstdFrame.SizeOf(image.AsSpan(header)), second = ZstdFrame.SizeOf(image.AsSpan(header + first));
        Assert.Equal((1 << 20) + 9 + 8 * 3 + 4, first);
        Assert.InRange(second, 900 << 10, (1 << 20) - (30 << 10));

        foreach (int at in new[] { header + 100, header + first / 2, header + first - 5, header + first - 1 })
        {
            file.Write(at, [(byte)(image[at] ^ 1)]);
            await Assert.ThrowsAsync<MemoryImageException>(() => MemoryImage.ReadAsync(file, Stream.Null));
            file.Write(at, [image[at]]);
        }
        using var read = new MemoryStream();
        await MemoryImage.ReadAsync(file, read);
        Assert.Equal(content, read.ToArray());
    }

    [Fact]
    public void A_stored_frame_is_read_and_checked_without_libzstd_too()
    {
        byte[] content = new byte[1 << 20];
        new Random(13).NextBytes(content);
        foreach (bool isChecked in new[] { true, false })
        {
            var buffer = new FrameBuffer();
            Assert.True(buffer.Fill(new MemoryStream(content), _ => { }));
            byte[] frame = buffer.Store(isChecked).ToArray();
            Assert.Equal(frame.Length, ZstdFrame.SizeOfStored([.. frame, 1, 2, 3]));
            Assert.Equal(0, ZstdFrame.SizeOfStored(frame.AsSpan(0, frame.Length - 1)));
            Assert.Equal(content, ZstdFrame.Restore(frame));
            if (ZstdNative.IsAvailable) Assert.Equal(content, ZstdFrame.Decompress(frame));
            frame[500_000] ^= 1;
            if (isChecked) Assert.Throws<InvalidDataException>(() => ZstdFrame.Restore(frame));
        }
    }

    [Theory]
    [InlineData("", 0xef46db3751d8e999)]
    [InlineData("a", 0xd24ec4f1a98c6e5b)]
    [InlineData("abc", 0x44bc2cf5ad770999)]
    [InlineData("Nobody inspects the spammish repetition", 0xfbcea83c8a378bf1)]
    public void The_checksum_is_that_of_the_format(string text, ulong hash) => Assert.Equal(hash, new XxHash64().Finish(System.Text.Encoding.ASCII.GetBytes(text)));

    /// <summary>Halves of each MiB: noise, and zeroes.</summary>
    private static byte[] Content(int length)
    {
        byte[] content = new byte[length];
        var random = new Random(7);
        for (int at = 0; at < length; at += 1 << 20) random.NextBytes(content.AsSpan(at, Math.Min(1 << 19, length - at)));
        return content;
    }
}
