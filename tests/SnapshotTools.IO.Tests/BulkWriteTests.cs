using System.Globalization;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.IO.Tests;

/// <summary>Writes past the system's cache, among others through it.</summary>
public sealed class BulkWriteTests
{
    private const int MiB = 1 << 20;

    private readonly IFileSystem _files = SystemFiles.Instance;

    [Fact]
    public void Bulk_and_other_writes_make_one_file_wherever_they_begin_and_end()
    {
        using TempFolder folder = new();
        Mix(folder.File("a"), seed: 1);
    }

    [MountFact]
    public void Nor_does_it_matter_whether_the_file_system_knows_such_writes()
    {
        using var mount = ScratchMount.Tmpfs(64 * MiB);
        Mix(mount.At("a"), seed: 2);
    }

    [MountFact("mkfs.xfs", PageCache.Judge)]
    public void Bulk_writes_leave_the_cache_to_others()
    {
        using var mount = ScratchMount.Xfs();
        using BulkBuffer buffer = new(8 * MiB);
        new Random(3).NextBytes(buffer.Span(8 * MiB));
        using IBlockFile bulk = _files.Create(mount.At("bulk")), cached = _files.Create(mount.At("cached"));
        bulk.WriteBulk(0, buffer.Span(8 * MiB));
        cached.Write(0, buffer.Span(8 * MiB));
        Assert.Equal(0, PageCache.BytesOf(bulk.Path));
        Assert.Equal(8 * MiB, PageCache.BytesOf(cached.Path));
        Assert.Equal(File.ReadAllBytes(cached.Path), File.ReadAllBytes(bulk.Path));
    }

    [MountFact("mkfs.xfs", PageCache.Judge)]
    public void What_is_on_the_disk_leaves_the_cache_when_it_is_told_to_and_nothing_else_does()
    {
        using var mount = ScratchMount.Xfs();
        byte[] data = new byte[8 * MiB];
        new Random(4).NextBytes(data);
        using IBlockFile file = _files.Create(mount.At("a"));
        file.Write(0, data);
        file.Flush();
        file.DropFromCache(0, 6 * MiB);
        Assert.Equal(2 * MiB, PageCache.BytesOf(file.Path));
        file.Write(0, data.AsSpan(0, MiB));
        file.DropFromCache(0, 8 * MiB);
        Assert.Equal(data, File.ReadAllBytes(file.Path));
    }

    [MountFact("mkfs.xfs")]
    public void A_full_disk_is_told_as_one()
    {
        using var mount = ScratchMount.Xfs();
        using BulkBuffer buffer = new(16 * MiB);
        using IBlockFile file = _files.Create(mount.At("large"));
        var full = Assert.Throws<DiskFullException>(() =>
        {
            for (long at = 0; at < 1L << 30; at += 16 * MiB) file.WriteBulk(at, buffer.Span(16 * MiB));
        });
        Assert.Contains(file.Path, full.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_is_closed_or_open_for_reading_takes_nothing()
    {
        using TempFolder folder = new();
        using BulkBuffer buffer = new(2 * MiB);
        IBlockFile file = _files.Create(folder.File("a"));
        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() => file.WriteBulk(0, buffer.Span(2 * MiB)));
        using IBlockFile reader = _files.Open(folder.File("a"), FileOpenMode.Read);
        Assert.Throws<IOException>(() => reader.WriteBulk(0, buffer.Span(2 * MiB)));
        Assert.Equal(0, reader.Length);
    }

    private void Mix(string path, int seed)
    {
        const int length = 24 * MiB;
        var random = new Random(seed);
        byte[] expected = new byte[length];
        using BulkBuffer buffer = new(4 * MiB);
        using IBlockFile file = _files.Create(path);
        file.SetLength(length);
        for (int i = 0; i < 120; i++)
        {
            bool isAligned = i % 3 != 0;
            int slack = isAligned ? 0 : random.Next(1, 4096);
            int count = random.Next(1, 512) * 4096 + (i % 5 == 0 ? random.Next(4096) : 0), at = random.Next((length - (4 * MiB)) / 4096) * 4096 + slack;
            var data = buffer.Span(4 * MiB).Slice(i % 7 == 0 ? 512 : 0, count);
            random.NextBytes(data);
            data.CopyTo(expected.AsSpan(at));
            if (i % 4 == 3) file.Write(at, data);
            else file.WriteBulk(at, data);
            byte[] back = new byte[count];
            Assert.Equal(count, file.Read(at, back));
            Assert.True(data.SequenceEqual(back), $"write {i}");
        }
        file.Flush();
        Assert.Equal(expected, File.ReadAllBytes(path));
    }
}
