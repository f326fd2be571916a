using SnapshotTools.Testing;
using SnapshotTools.Testing.Files;
using Xunit;

namespace SnapshotTools.IO.Tests.Seams;

/// <summary>The file system in memory answers every call as the real one does: judged by doing the same to both.</summary>
public sealed class MemoryFileSystemTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void It_answers_long_random_sequences_as_the_real_one_does(int seed)
    {
        using TempFolder folder = new();
        MemoryFileSystem memory = new();
        memory.CreateDirectory(folder.Path);
        Random random = new(seed);
        Dictionary<int, (IBlockFile Real, IBlockFile Memory)> open = [];
        for (int step = 0; step < 1500; step++)
        {
            string a = folder.File(Name(random)), b = folder.File(Name(random));
            int slot = random.Next(6), choice = random.Next(22), length = random.Next(20_000);
            long offset = random.Next(100_000);
            byte[] data = new byte[length];
            random.NextBytes(data);
            FileOpenMode mode = (FileOpenMode)random.Next(4);
            LockKind kind = (LockKind)random.Next(2);

            string real = Outcome(SystemFiles.Instance, open.TryGetValue(slot, out var f) ? f.Real : null, out IBlockFile? openedReal);
            string imagined = Outcome(memory, f.Memory, out IBlockFile? openedMemory);
            Assert.True(real == imagined, $"seed {seed}, step {step}, choice {choice}: the real one says {real}, the one in memory {imagined}");
            if (openedReal is null || openedMemory is null) continue;
            f.Real?.Dispose();
            f.Memory?.Dispose();
            open[slot] = (openedReal, openedMemory);

            string Outcome(IFileSystem files, IBlockFile? file, out IBlockFile? opened)
            {
                opened = null;
                try
                {
                    switch (choice)
                    {
                        case 0: opened = files.Create(a); return "created";
                        case 1: opened = files.Open(a, mode); return $"opened {opened.CanWrite} {opened.Length}";
                        case 2: files.Delete(a); return "deleted";
                        case 3: files.Rename(a, b); return "renamed";
                        case 4: files.ReplaceLink(a, Path.GetFileName(b)); return "linked";
                        case 5: return files.ReadLink(a) ?? "no link";
                        case 6: files.CreateDirectory(Path.Combine(a, "x")); return "directory";
                        case 7: files.DeleteDirectory(Path.Combine(a, "x")); return "no directory";
                        case 8: return files.Stat(a) is { } s ? $"{s.Kind} {(s.Kind == FileKind.Regular ? s.Length : 0)}" : "nothing";
                        case 9: return string.Join(' ', files.List(folder.Path).Select(s => Path.GetFileName(s.Path) + s.Kind).Order());
                        case 10: files.SyncDirectory(a); return "synced";
                        case 11 or 12 or 13: file?.Write(offset, data); return "written";
                        case 14: file?.PunchHole(offset, length); return "punched";
                        case 15: file?.SetLength(offset); return "cut";
                        case 16 or 17:
                            byte[] back = new byte[length];
                            return file is null ? "" : $"{file.Read(offset, back)} {Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(back))}";
                        case 18: return $"{file?.TryLock(offset % 10, 1 + (length % 10), kind)}";
                        case 19: file?.Unlock(offset % 10, 1 + (length % 10)); return "unlocked";
                        case 20: return $"{file?.IsLockedByOther(offset % 10, 1 + (length % 10), kind)}";
                        default: file?.Flush(); return $"{file?.Length}";
                    }
                }
                catch (NotARegularFileException e)
                {
                    return $"not regular: {e.Kind}";
                }
                catch (IOException)
                {
                    return "refused";
                }
            }
        }
        foreach (var (real, imagined) in open.Values)
        {
            real.Dispose();
            imagined.Dispose();
        }

        static string Name(Random random) => $"{(char)('a' + random.Next(5))}";
    }

    [Fact]
    public void It_is_loaded_from_and_saved_to_real_directories_with_holes_kept()
    {
        using TempFolder folder = new();
        IFileSystem real = SystemFiles.Instance;
        real.CreateDirectory(folder.File("from/sub"));
        using (IBlockFile file = real.Create(folder.File("from/sub/sparse")))
        {
            file.SetLength(1L << 40);
            file.Write(1L << 39, "here"u8);
        }
        real.ReplaceLink(folder.File("from/link"), "sub/sparse");

        MemoryFileSystem loaded = MemoryFileSystem.Load(folder.File("from"), "/store");
        using (IBlockFile file = loaded.Open("/store/link", FileOpenMode.ReadFollowingLinks))
        {
            Assert.Equal(1L << 40, file.Length);
            Assert.Equal(1L << 39, file.NextData(0)!.Value.Offset);
        }
        loaded.Save("/store", folder.File("to"));
        byte[] back = new byte[4];
        using IBlockFile saved = real.Open(folder.File("to/sub/sparse"), FileOpenMode.Read);
        saved.Read(1L << 39, back);
        Assert.Equal("here"u8, back);
        Assert.InRange(real.Stat(saved.Path)!.AllocatedBytes, 1, 1 << 20);
        Assert.Equal("sub/sparse", real.ReadLink(folder.File("to/link")));
    }

    [Fact]
    public void A_copy_goes_its_own_way()
    {
        MemoryFileSystem files = new();
        using IBlockFile file = files.Create("/a");
        file.Write(0, new byte[10_000]);
        MemoryFileSystem copy = files.Copy();
        file.Write(0, "one"u8);
        using IBlockFile other = copy.Open("/a", FileOpenMode.ReadWrite);
        other.Write(5000, "two"u8);
        byte[] here = new byte[10_000], there = new byte[10_000];
        file.Read(0, here);
        other.Read(0, there);
        Assert.Equal("one"u8, here.AsSpan(0, 3));
        Assert.Equal(0, here[5000]);
        Assert.Equal(0, there[0]);
        Assert.Equal("two"u8, there.AsSpan(5000, 3));
    }

    [Fact]
    public void It_can_be_full()
    {
        MemoryFileSystem files = new() { Capacity = 10_000 };
        using IBlockFile file = files.Create("/a");
        file.Write(0, new byte[8192]);
        Assert.Throws<DiskFullException>(() => file.Write(8192, new byte[1]));
        file.Write(0, new byte[8192]);
    }
}
