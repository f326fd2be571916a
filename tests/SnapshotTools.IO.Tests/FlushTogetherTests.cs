using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.IO.Tests;

/// <summary>Several files made durable at once.</summary>
public sealed class FlushTogetherTests
{
    private const int MiB = 1 << 20;

    private readonly IFileSystem _files = SystemFiles.Instance;

    [MountFact("mkfs.ext4")]
    public void On_ext4_the_files_outlive_the_power()
    {
        using var mount = ScratchMount.Ext4();
        OutliveThePower(mount, isXfs: false);
    }

    [MountFact("mkfs.ext4")]
    public void Without_a_journal_too()
    {
        using var mount = ScratchMount.Ext4(journal: false);
        OutliveThePower(mount, isXfs: false);
    }

    [MountFact("mkfs.xfs")]
    public void And_on_xfs()
    {
        using var mount = ScratchMount.Xfs();
        OutliveThePower(mount, isXfs: true);
    }

    [MountFact("mkfs.ext4")]
    public void A_write_that_was_lost_is_told_of_its_file_and_not_forgotten()
    {
        using var small = ScratchMount.Tmpfs(64 * MiB);
        using var mount = ScratchMount.Ext4(folder: small.Path);
        // The disk of the mounted file system is a sparse file in one that has no room for more of it.
        using (var filler = _files.Create(small.At("filler")))
        {
            byte[] some = new byte[4096];
            Assert.Throws<DiskFullException>(() =>
            {
                for (long at = 0; at < 64 * MiB; at += some.Length) filler.Write(at, some);
            });
        }
        var written = Write(mount.Path, 4, 64 << 10);
        try
        {
            var failure = Assert.ThrowsAny<IOException>(() => FlushTogether(written, mount.Path));
            Assert.Contains(written[0].Path, failure.Message, StringComparison.Ordinal);
            Assert.Contains("takes no more writes", Assert.ThrowsAny<IOException>(written[0].Flush).Message, StringComparison.Ordinal);
        }
        finally
        {
            foreach (var file in written) file.Dispose();
        }
    }

    [MountFact]
    public void A_file_system_that_is_not_known_for_it_and_files_of_two_are_left_to_be_flushed_one_by_one()
    {
        using TempFolder folder = new();
        using var mount = ScratchMount.Tmpfs(8 * MiB);
        IBlockFile[] here = Write(folder.Path, 4, 4096), there = Write(mount.Path, 4, 4096);
        try
        {
            Assert.False(_files.TryFlushTogether(there, mount.Path));
            Assert.False(_files.TryFlushTogether([.. here, .. there], folder.Path));
        }
        finally
        {
            foreach (var file in here.Concat(there)) file.Dispose();
        }
    }

    private void OutliveThePower(ScratchMount mount, bool isXfs)
    {
        string folder = mount.At("a/b");
        _files.CreateDirectory(folder);
        IBlockFile[] written = Write(folder, 8, 100_000);
        Assert.True(FlushTogether(written, folder));
        // What nobody waited for: were it there, the copy would prove nothing.
        using IBlockFile late = _files.Create(Path.Combine(folder, "late"));
        late.Write(0, Content(99, 100_000));
        using var left = ScratchMount.After(mount, isXfs);
        for (int i = 0; i < written.Length; i++) Assert.Equal(Content(i, 100_000), File.ReadAllBytes(left.At($"a/b/{i}")));
        Assert.False(File.Exists(left.At("a/b/late")) && File.ReadAllBytes(left.At("a/b/late")).AsSpan().SequenceEqual(Content(99, 100_000)));
        foreach (var file in written) file.Dispose();
    }

    /// <summary>While this machine has much else to write, such as other tests', it is declined.</summary>
    private bool FlushTogether(IReadOnlyList<IBlockFile> files, string folder)
    {
        for (int i = 0; i < 100; i++)
        {
            if (_files.TryFlushTogether(files, folder)) return true;
            Thread.Sleep(100);
            Tool.Run("sync", []);
        }
        return false;
    }

    private IBlockFile[] Write(string folder, int count, int bytes) => [.. Enumerable.Range(0, count).Select(i =>
    {
        var file = _files.Create(Path.Combine(folder, $"{i}"));
        file.Write(0, Content(i, bytes));
        return file;
    })];

    private static byte[] Content(int seed, int bytes)
    {
        byte[] content = new byte[bytes];
        new Random(seed).NextBytes(content);
        return content;
    }
}
