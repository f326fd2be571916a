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

    /// <summary>Halves of each MiB: noise, and zeroes.</summary>
    private static byte[] Content(int length)
    {
        byte[] content = new byte[length];
        var random = new Random(7);
        for (int at = 0; at < length; at += 1 << 20) random.NextBytes(content.AsSpan(at, Math.Min(1 << 19, length - at)));
        return content;
    }
}
