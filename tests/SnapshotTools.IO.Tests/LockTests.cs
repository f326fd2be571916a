using System.Diagnostics;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.IO.Tests;

/// <summary>Byte-range locks: they belong to the open file, and die with it.</summary>
public sealed class LockTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly IFileSystem _files = SystemFiles.Instance;
    private readonly string _path;

    public LockTests()
    {
        _path = _folder.File("image");
        _files.Create(_path).Dispose();
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Shared_locks_stand_together_and_exclusive_ones_alone()
    {
        using IBlockFile a = _files.Open(_path, FileOpenMode.ReadWrite), b = _files.Open(_path, FileOpenMode.ReadWrite);
        Assert.True(a.TryLock(100, 1, LockKind.Shared));
        Assert.True(b.TryLock(100, 1, LockKind.Shared));
        Assert.False(a.TryLock(100, 1, LockKind.Exclusive));
        Assert.True(b.IsLockedByOther(100, 1, LockKind.Exclusive));
        Assert.False(b.IsLockedByOther(100, 1, LockKind.Shared));
        a.Unlock(100, 1);
        Assert.True(b.TryLock(100, 1, LockKind.Exclusive));
        Assert.False(a.TryLock(100, 1, LockKind.Shared));
        Assert.True(a.IsLockedByOther(100, 1, LockKind.Shared));
        Assert.False(b.IsLockedByOther(100, 1, LockKind.Exclusive));
        Assert.True(a.TryLock(101, 1, LockKind.Exclusive));
        Assert.True(b.TryLock(100, 1, LockKind.Shared));
        Assert.True(a.TryLock(100, 1, LockKind.Shared));
    }

    [Fact]
    public void Closing_another_handle_of_the_file_does_not_lose_a_lock()
    {
        using IBlockFile a = _files.Open(_path, FileOpenMode.ReadWrite);
        Assert.True(a.TryLock(0, 10, LockKind.Exclusive));
        _files.Open(_path, FileOpenMode.ReadWrite).Dispose();
        File.ReadAllBytes(_path);
        using IBlockFile b = _files.Open(_path, FileOpenMode.ReadWrite);
        Assert.False(b.TryLock(0, 10, LockKind.Exclusive));
        a.Dispose();
        Assert.True(b.TryLock(0, 10, LockKind.Exclusive));
    }

    [Fact]
    public void A_handle_for_reading_takes_shared_locks_and_sees_all()
    {
        using IBlockFile reader = _files.Open(_path, FileOpenMode.Read), writer = _files.Open(_path, FileOpenMode.ReadWrite);
        Assert.True(reader.TryLock(100, 1, LockKind.Shared));
        Assert.False(writer.TryLock(100, 1, LockKind.Exclusive));
        Assert.True(writer.TryLock(101, 1, LockKind.Exclusive));
        Assert.True(reader.IsLockedByOther(101, 1, LockKind.Exclusive));
    }

    [Fact]
    public void The_lock_of_a_killed_process_is_free_at_once()
    {
        using IBlockFile ours = _files.Open(_path, FileOpenMode.ReadWrite);
        using Process holder = ChildProcess.Start("lock", _path);
        Assert.Equal("locked", holder.StandardOutput.ReadLine());
        Assert.False(ours.TryLock(0, 1, LockKind.Exclusive));
        holder.Kill();
        holder.WaitForExit();
        Assert.True(ours.TryLock(0, 1, LockKind.Exclusive));
    }

    [Fact]
    public void A_child_process_inherits_no_lock()
    {
        IBlockFile ours = _files.Open(_path, FileOpenMode.ReadWrite);
        Assert.True(ours.TryLock(0, 1, LockKind.Exclusive));
        using Process child = ChildProcess.Start("wait");
        Assert.Equal("waiting", child.StandardOutput.ReadLine());
        ours.Dispose();
        using IBlockFile next = _files.Open(_path, FileOpenMode.ReadWrite);
        Assert.True(next.TryLock(0, 1, LockKind.Exclusive));
        child.Kill();
        child.WaitForExit();
    }
}
