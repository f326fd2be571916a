using System.Runtime.Versioning;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.IO.Tests;

/// <summary>Names, modes, links and directories.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class NameTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly IFileSystem _files = SystemFiles.Instance;

    public void Dispose() => _folder.Dispose();

    [ToolTheory("sh")]
    [InlineData("000")]
    [InlineData("022")]
    [InlineData("077")]
    [InlineData("377")]
    [InlineData("777")]
    public void Files_are_0600_and_directories_0700_whatever_the_umask(string umask)
    {
        // The umask belongs to the process, so another one creates them.
        string output = Tool.Run("sh", ["-c", $"umask {umask}; exec \"$0\" \"$@\"", .. ChildProcess.Command("create", _folder.File("d/e"), _folder.File("d/e/f"))]);
        Assert.DoesNotContain("Exception", output, StringComparison.Ordinal);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_folder.File("d/e/f")));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(_folder.File("d")));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(_folder.File("d/e")));
    }

    [Fact]
    public void Create_directory_leaves_an_existing_one_as_it_is()
    {
        Directory.CreateDirectory(_folder.File("d"), UnixFileMode.UserRead | UnixFileMode.UserExecute | UnixFileMode.UserWrite | UnixFileMode.OtherRead);
        _files.CreateDirectory(_folder.File("d"));
        Assert.True(File.GetUnixFileMode(_folder.File("d")).HasFlag(UnixFileMode.OtherRead));
        File.WriteAllText(_folder.File("f"), "");
        Assert.ThrowsAny<IOException>(() => _files.CreateDirectory(_folder.File("f")));
        Assert.ThrowsAny<IOException>(() => _files.CreateDirectory(_folder.File("f/d")));
    }

    [Fact]
    public void Rename_replaces_and_delete_deletes_names()
    {
        File.WriteAllText(_folder.File("a"), "new");
        File.WriteAllText(_folder.File("b"), "old");
        _files.Rename(_folder.File("a"), _folder.File("b"));
        _files.SyncDirectory(_folder.Path);
        Assert.Equal("new", File.ReadAllText(_folder.File("b")));
        Assert.Null(_files.Stat(_folder.File("a")));
        _files.Delete(_folder.File("b"));
        Assert.Empty(_files.List(_folder.Path));
        Assert.Throws<FileNotFoundException>(() => _files.Delete(_folder.File("b")));
        Assert.Throws<FileNotFoundException>(() => _files.Rename(_folder.File("b"), _folder.File("c")));
    }

    [Fact]
    public void A_link_is_replaced_in_one_step_and_nothing_else_is()
    {
        string link = _folder.File("link");
        _files.ReplaceLink(link, "first");
        Assert.Equal("first", _files.ReadLink(link));
        _files.ReplaceLink(link, "second");
        Assert.Equal("second", _files.ReadLink(link));
        Assert.Equal([link], _files.List(_folder.Path).Select(f => f.Path));
        Assert.Equal(FileKind.Link, _files.Stat(link)!.Kind);

        File.WriteAllText(_folder.File("file"), "kept");
        Assert.ThrowsAny<IOException>(() => _files.ReplaceLink(_folder.File("file"), "x"));
        Assert.Equal("kept", File.ReadAllText(_folder.File("file")));
        Assert.Null(_files.ReadLink(_folder.File("file")));
        Assert.Null(_files.ReadLink(_folder.File("none")));
        _files.Delete(link);
        Assert.Null(_files.Stat(link));
    }

    [Fact]
    public async Task A_reader_always_finds_one_of_the_two_targets_of_a_replaced_link()
    {
        string link = _folder.File("link");
        _files.ReplaceLink(link, "a");
        using CancellationTokenSource stop = new();
        Task<bool> reader = Task.Run(() =>
        {
            bool whole = true;
            while (!stop.IsCancellationRequested) whole &= _files.ReadLink(link) is "a" or "b";
            return whole;
        });
        for (int i = 0; i < 500; i++) _files.ReplaceLink(link, i % 2 == 0 ? "b" : "a");
        await stop.CancelAsync();
        Assert.True(await reader, "the link was absent for an instant");
    }

    [Fact]
    public void A_left_over_temporary_link_is_recognized()
    {
        Assert.True(TemporaryLink.IsOne(TemporaryLink.NameFor("/a/b")));
        Assert.StartsWith("/a/.b.", TemporaryLink.NameFor("/a/b"), StringComparison.Ordinal);
        Assert.False(TemporaryLink.IsOne("/a/b.newlink"));
    }

    [Fact]
    public void List_tells_kinds_and_sizes()
    {
        using (IBlockFile file = _files.Create(_folder.File("sparse")))
        {
            file.SetLength(10 << 20);
            file.Write(0, new byte[100]);
            file.Flush();
        }
        _files.CreateDirectory(_folder.File("d"));
        _files.ReplaceLink(_folder.File("l"), "sparse");
        Dictionary<string, FileStat> found = _files.List(_folder.Path).ToDictionary(f => Path.GetFileName(f.Path));
        Assert.Equal(FileKind.Directory, found["d"].Kind);
        Assert.Equal(FileKind.Link, found["l"].Kind);
        Assert.Equal(10 << 20, found["sparse"].Length);
        Assert.InRange(found["sparse"].AllocatedBytes, 100, 1 << 20);
        Assert.InRange(found["sparse"].ModifiedAt, DateTimeOffset.UtcNow.AddMinutes(-5), DateTimeOffset.UtcNow.AddMinutes(5));
        Assert.ThrowsAny<IOException>(() => _files.List(_folder.File("none")).ToList());
    }

    [Fact]
    public void Freezing_takes_the_right_to_write_and_links_are_not_frozen_through()
    {
        string path = _folder.File("a");
        _files.Create(path).Dispose();
        _files.SetFrozen(path, true);
        Assert.Equal(UnixFileMode.UserRead, File.GetUnixFileMode(path));
        _files.SetFrozen(path, false);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        _files.ReplaceLink(_folder.File("l"), "a");
        Assert.Throws<NotARegularFileException>(() => _files.SetFrozen(_folder.File("l"), true));
    }

    [Fact]
    public void Delete_directory_wants_it_empty()
    {
        _files.CreateDirectory(_folder.File("d"));
        _files.Create(_folder.File("d/f")).Dispose();
        IOException e = Assert.ThrowsAny<IOException>(() => _files.DeleteDirectory(_folder.File("d")));
        Assert.Contains("not empty", e.Message, StringComparison.Ordinal);
        _files.Delete(_folder.File("d/f"));
        _files.DeleteDirectory(_folder.File("d"));
        Assert.Null(_files.Stat(_folder.File("d")));
    }

    [Fact]
    public void Free_bytes_are_positive_and_asked_of_a_missing_path_an_error()
    {
        Assert.True(_files.FreeBytes(_folder.Path) > 0);
        Assert.ThrowsAny<IOException>(() => _files.FreeBytes(_folder.File("none")));
    }
}
