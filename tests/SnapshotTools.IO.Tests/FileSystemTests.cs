using System.Diagnostics;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.IO.Tests;

/// <summary>What needs a file system of a certain kind: full, read-only, with reflinks.</summary>
public sealed class FileSystemTests
{
    private readonly IFileSystem _files = SystemFiles.Instance;

    [MountFact]
    public void A_full_disk_is_a_disk_full_exception_that_names_the_file_and_keeps_what_was_written()
    {
        using ScratchMount mount = ScratchMount.Tmpfs(1 << 20);
        using IBlockFile file = _files.Create(mount.At("a"));
        file.Write(0, "kept"u8);
        DiskFullException e = Assert.Throws<DiskFullException>(() => file.Write(100, new byte[2 << 20]));
        Assert.Equal(file.Path, e.Path);
        byte[] kept = new byte[4];
        file.Read(0, kept);
        Assert.Equal("kept"u8, kept);
        Assert.InRange(_files.FreeBytes(mount.Path), 0, 64 << 10);

        file.PunchHole(4096, file.Length);
        file.Write(100, new byte[4096]);
    }

    [MountFact]
    public void What_a_large_file_held_is_free_once_it_is_deleted_or_replaced()
    {
        using ScratchMount mount = ScratchMount.Tmpfs(400 << 20);
        long all = _files.FreeBytes(mount.Path);
        foreach (string name in new[] { "a", "b", "c" })
        {
            using IBlockFile file = _files.Create(mount.At(name));
            for (int at = 0; at < 100; at++) file.Write((long)at << 20, new byte[1 << 20]);
        }
        Assert.InRange(all - _files.FreeBytes(mount.Path), 300 << 20, 302 << 20);

        _files.Delete(mount.At("a"));
        Assert.Null(_files.Stat(mount.At("a")));
        _files.Rename(mount.At("b"), mount.At("c"));
        Assert.Equal(["c"], _files.List(mount.Path).Select(f => Path.GetFileName(f.Path)));
        // A child that another test starts has all open files until it runs its program.
        SpinWait.SpinUntil(() => all - _files.FreeBytes(mount.Path) <= 102 << 20, TimeSpan.FromSeconds(5));
        Assert.InRange(all - _files.FreeBytes(mount.Path), 100 << 20, 102 << 20);
    }

    [MountFact]
    public void A_read_only_file_system_is_named_as_the_cause()
    {
        using ScratchMount mount = ScratchMount.Tmpfs(1 << 20);
        _files.Create(mount.At("a")).Dispose();
        mount.Remount(readOnly: true);
        foreach (Action change in new Action[]
        {
            () => _files.Open(mount.At("a"), FileOpenMode.ReadWrite),
            () => _files.Create(mount.At("b")),
            () => _files.Delete(mount.At("a")),
            () => _files.Rename(mount.At("a"), mount.At("b")),
            () => _files.ReplaceLink(mount.At("l"), "a"),
            () => _files.CreateDirectory(mount.At("d")),
            () => _files.SetFrozen(mount.At("a"), true),
        })
        {
            IOException e = Assert.ThrowsAny<IOException>(change);
            Assert.Contains("read-only", e.Message, StringComparison.Ordinal);
            Assert.Contains(mount.Path, e.Message, StringComparison.Ordinal);
        }
        _files.Open(mount.At("a"), FileOpenMode.Read).Dispose();
    }

    [MountFact("mkfs.xfs")]
    public void Xfs_clones() => Clones(ScratchMount.Xfs());

    [MountFact("mkfs.btrfs")]
    public void Btrfs_clones() => Clones(ScratchMount.Btrfs());

    [Fact]
    public void Running_out_of_file_handles_is_named_as_the_cause()
    {
        using TempFolder folder = new();
        using Process child = ChildProcess.Start("exhaust", folder.File("a"));
        string message = child.StandardOutput.ReadToEnd();
        child.WaitForExit();
        Assert.Contains("too many files open", message, StringComparison.Ordinal);
        Assert.Contains(folder.File("a"), message, StringComparison.Ordinal);
    }

    private void Clones(ScratchMount mount)
    {
        using (mount)
        {
            byte[] data = new byte[8 << 20];
            new Random(1).NextBytes(data);
            using IBlockFile source = _files.Create(mount.At("a"));
            source.Write(0, data);
            source.Flush();
            long before = _files.FreeBytes(mount.Path);

            using IBlockFile clone = _files.Create(mount.At("b"));
            Assert.True(source.TryClone(clone));
            using IBlockFile range = _files.Create(mount.At("c"));
            Assert.Equal(4 << 20, source.CopyRange(1 << 20, range, 2 << 20, 4 << 20));
            clone.Flush();
            range.Flush();

            byte[] back = new byte[data.Length];
            Assert.Equal(data.Length, clone.Read(0, back));
            Assert.Equal(data, back);
            Assert.Equal(6 << 20, range.Length);
            range.Read(2 << 20, back.AsSpan(0, 4 << 20));
            Assert.Equal(data.AsSpan(1 << 20, 4 << 20), back.AsSpan(0, 4 << 20));
            Assert.Equal((2 << 20, 4 << 20), range.NextData(0));
            Assert.InRange(before - _files.FreeBytes(mount.Path), 0, 4 << 20);

            clone.Write(0, [1, 2, 3]);
            source.Read(0, back.AsSpan(0, 3));
            Assert.Equal(data.AsSpan(0, 3), back.AsSpan(0, 3));
        }
    }
}
