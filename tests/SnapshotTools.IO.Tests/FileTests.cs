using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.IO.Tests;

/// <summary>Opening, creating, reading, writing and holes, against the file system under the temporary folder.</summary>
public sealed class FileTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly IFileSystem _files = SystemFiles.Instance;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void What_is_written_is_read_back_and_a_read_past_the_end_is_short()
    {
        using IBlockFile file = _files.Create(_folder.File("a"));
        file.Write(1000, "hello"u8);
        Assert.Equal(1005, file.Length);
        byte[] buffer = new byte[100];
        Assert.Equal(7, file.Read(998, buffer));
        Assert.Equal("\0\0hello"u8, buffer.AsSpan(0, 7));
        Assert.Equal(0, file.Read(5000, buffer));
        file.SetLength(1002);
        Assert.Equal(2, file.Read(1000, buffer));
        file.Flush();
    }

    [Fact]
    public void A_write_of_no_bytes_does_nothing()
    {
        using IBlockFile file = _files.Create(_folder.File("a"));
        file.Write(10, []);
        Assert.Equal(0, file.Length);
    }

    [Fact]
    public void Create_refuses_what_exists_and_changes_nothing()
    {
        File.WriteAllText(_folder.File("a"), "kept");
        IOException e = Assert.ThrowsAny<IOException>(() => _files.Create(_folder.File("a")));
        Assert.Contains(_folder.File("a"), e.Message, StringComparison.Ordinal);
        Assert.Contains("exists already", e.Message, StringComparison.Ordinal);
        Assert.Equal("kept", File.ReadAllText(_folder.File("a")));
    }

    [Fact]
    public void Open_of_nothing_is_file_not_found()
    {
        FileNotFoundException e = Assert.Throws<FileNotFoundException>(() => _files.Open(_folder.File("none"), FileOpenMode.Read));
        Assert.Contains("none", e.Message, StringComparison.Ordinal);
        Assert.Null(_files.Stat(_folder.File("none")));
        Assert.Null(_files.Stat(_folder.File("none/below")));
    }

    [Fact]
    public void A_file_open_for_reading_cannot_be_written()
    {
        File.WriteAllText(_folder.File("a"), "x");
        using IBlockFile file = _files.Open(_folder.File("a"), FileOpenMode.Read);
        Assert.False(file.CanWrite);
        Assert.ThrowsAny<IOException>(() => file.Write(0, "y"u8));
        Assert.Equal("x", File.ReadAllText(_folder.File("a")));
    }

    [Fact]
    public void A_link_is_followed_only_when_asked()
    {
        File.WriteAllText(_folder.File("a"), "x");
        File.CreateSymbolicLink(_folder.File("link"), "a");
        NotARegularFileException e = Assert.Throws<NotARegularFileException>(() => _files.Open(_folder.File("link"), FileOpenMode.Read));
        Assert.Equal(FileKind.Link, e.Kind);
        Assert.Throws<NotARegularFileException>(() => _files.Open(_folder.File("link"), FileOpenMode.ReadWrite));
        using IBlockFile followed = _files.Open(_folder.File("link"), FileOpenMode.ReadFollowingLinks);
        using IBlockFile direct = _files.Open(_folder.File("a"), FileOpenMode.ReadWrite);
        Assert.Equal(direct.FileId, followed.FileId);
        Assert.Equal(direct.FileId, _files.Stat(_folder.File("a"))!.FileId);
        Assert.NotEqual(direct.FileId, _files.Stat(_folder.File("link"))!.FileId);
    }

    [Fact]
    public void Create_through_a_dangling_link_is_refused()
    {
        File.CreateSymbolicLink(_folder.File("link"), _folder.File("elsewhere"));
        Assert.ThrowsAny<IOException>(() => _files.Create(_folder.File("link")));
        Assert.False(File.Exists(_folder.File("elsewhere")));
    }

    [ToolFact("mkfifo")]
    public void A_fifo_is_refused_without_waiting()
    {
        Tool.Run("mkfifo", [_folder.File("fifo")]);
        foreach (FileOpenMode mode in Enum.GetValues<FileOpenMode>())
            Assert.Equal(FileKind.Other, Assert.Throws<NotARegularFileException>(() => _files.Open(_folder.File("fifo"), mode)).Kind);
    }

    [Fact]
    public void Directories_and_devices_are_refused()
    {
        Assert.Equal(FileKind.Directory, Assert.Throws<NotARegularFileException>(() => _files.Open(_folder.Path, FileOpenMode.ReadWrite)).Kind);
        Assert.Equal(FileKind.Other, Assert.Throws<NotARegularFileException>(() => _files.Open("/dev/zero", FileOpenMode.ReadFollowingLinks)).Kind);
    }

    [Fact]
    public void A_path_with_a_nul_is_refused_and_not_cut()
    {
        File.WriteAllText(_folder.File("a"), "x");
        Assert.ThrowsAny<IOException>(() => _files.Delete(_folder.File("a\0b")));
        Assert.True(File.Exists(_folder.File("a")));
    }

    [Fact]
    public void A_punched_hole_reads_as_zeroes_and_frees_its_blocks()
    {
        using IBlockFile file = _files.Create(_folder.File("a"));
        byte[] data = new byte[1 << 20];
        Array.Fill(data, (byte)0xa5);
        file.Write(0, data);
        file.Flush();
        long before = _files.Stat(file.Path)!.AllocatedBytes;
        file.PunchHole(256 << 10, 512 << 10);
        file.PunchHole(1000, 24);
        file.PunchHole((1 << 20) - 10, 1000);
        file.Flush();
        byte[] now = new byte[1 << 20];
        Assert.Equal(data.Length, file.Read(0, now));
        Array.Clear(data, 256 << 10, 512 << 10);
        Array.Clear(data, 1000, 24);
        Array.Clear(data, (1 << 20) - 10, 10);
        Assert.Equal(data, now);
        Assert.Equal(1 << 20, file.Length);
        Assert.True(_files.Stat(file.Path)!.AllocatedBytes <= before - (512 << 10), "the blocks were not freed");
        Assert.Equal((0, 256 << 10), file.NextData(0));
        Assert.Equal((768 << 10, 256 << 10), file.NextData(300 << 10));
    }

    [Fact]
    public void Next_data_is_null_in_a_file_of_holes_and_past_the_end()
    {
        using IBlockFile file = _files.Create(_folder.File("a"));
        Assert.Null(file.NextData(0));
        file.SetLength(1 << 30);
        Assert.Null(file.NextData(0));
        Assert.Null(file.NextData(1 << 30));
        Assert.Null(file.NextData(1L << 40));
    }

    [Fact]
    public void The_kernel_copies_a_range()
    {
        using IBlockFile source = _files.Create(_folder.File("a"));
        using IBlockFile target = _files.Create(_folder.File("b"));
        byte[] data = new byte[300_000];
        new Random(1).NextBytes(data);
        source.Write(0, data);
        long copied = source.CopyRange(1000, target, 5000, 200_000);
        if (copied == 0) return; // ext4 and tmpfs share no blocks: there the caller reads and writes.
        byte[] now = new byte[200_000];
        Assert.Equal(now.Length, target.Read(5000, now));
        Assert.Equal(data[1000..201_000], now);
        Assert.Equal(99_000, source.CopyRange(201_000, target, 0, 500_000));
    }

    [Fact]
    public void Many_threads_read_and_write_one_file()
    {
        using IBlockFile file = _files.Create(_folder.File("a"));
        Parallel.For(0, 64, i =>
        {
            byte[] data = new byte[10_000];
            Array.Fill(data, (byte)i);
            file.Write(i * 10_000, data);
            byte[] back = new byte[10_000];
            file.Read(i * 10_000, back);
            Assert.Equal(data, back);
        });
        Assert.Equal(640_000, file.Length);
    }

    [Fact]
    public void A_length_that_no_file_can_have_is_an_error_that_names_the_file()
    {
        using IBlockFile file = _files.Create(_folder.File("a"));
        IOException e = Assert.ThrowsAny<IOException>(() => file.SetLength(long.MaxValue));
        Assert.Contains(file.Path, e.Message, StringComparison.Ordinal);
    }
}
