using SnapshotTools.IO;
using SnapshotTools.Testing;
using SnapshotTools.Testing.Files;
using Xunit;

namespace SnapshotTools.Qcow2.Tests.Writing;

/// <summary>Changes of an image whose clusters and tables internal snapshots share.</summary>
public sealed class SharedClusterTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [ToolTheory("qemu-img", "qemu-io")]
    [InlineData("compat=1.1")]
    [InlineData("compat=0.10")]
    [InlineData("compat=1.1,extended_l2=on,cluster_size=16k")]
    [InlineData("compat=1.1,cluster_size=512,refcount_bits=8")]
    [InlineData("compat=1.1,cluster_size=2M")]
    [InlineData("compat=1.1,cluster_size=4k,refcount_bits=64")]
    public void An_internal_snapshot_keeps_its_content_whatever_is_written(string options)
    {
        string path = _folder.File("a.qcow2");
        const int Size = 6 << 20;
        Tool.Run("qemu-img", ["create", "-q", "-f", "qcow2", "-o", options, path, $"{Size}"]);
        Tool.Run("qemu-io", ["-f", "qcow2", "-c", "write -q -P 17 0 3M", "-c", $"write -q -c -P 18 4M {(options.Contains("2M", StringComparison.Ordinal) ? "2M" : "128k")}", "-c", "write -q -P 19 4300k 3k", path]);
        Tool.Run("qemu-img", ["snapshot", "-c", "one", path]);
        var random = new Random(4);
        byte[] content = ReadAll(path);
        byte[] atSnapshot = content;
        for (int round = 0; round < 3; round++)
        {
            using (var image = Qcow2Image.Open(SystemFiles.Instance, path, new ImageOpenOptions { Write = true }))
            {
                for (int i = 0; i < 30; i++)
                {
                    RandomStep step = RandomStep.Next(random, Size);
                    if (step.Kind is StepKind.Resize or StepKind.Discard) continue;
                    step.Do(image);
                    content = step.Do(content, 512);
                }
                image.Discard(0, 1 << 20);
                int unit = image.Header.ExtendedL2 ? image.Header.ClusterSize / 32 : image.Header.ClusterSize;
                content = new RandomStep(StepKind.Discard, 0, new byte[1 << 20]).Do(content, unit);
            }
            string check = Tool.Run("qemu-img", ["check", "-f", "qcow2", path]);
            Assert.Contains("No errors were found", check, StringComparison.Ordinal);
            Assert.Equal(content, ReadAll(path));
            string raw = _folder.File("snapshot.raw");
            Tool.Run("qemu-img", ["convert", "-f", "qcow2", "-l", "snapshot.name=one", "-O", "raw", path, raw]);
            Assert.Equal(atSnapshot, File.ReadAllBytes(raw));
        }
        Tool.Run("qemu-img", ["snapshot", "-a", "one", path]);
        Assert.Equal(atSnapshot, ReadAll(path));
        Tool.Run("qemu-img", ["snapshot", "-d", "one", path]);
        Assert.Contains("No errors were found", Tool.Run("qemu-img", ["check", "-f", "qcow2", path]), StringComparison.Ordinal);
    }

    private static byte[] ReadAll(string path)
    {
        using var image = Qcow2Image.Open(SystemFiles.Instance, path, new ImageOpenOptions());
        byte[] content = new byte[image.VirtualSize];
        image.Read(0, content);
        return content;
    }

    public static TheoryData<string, Action<MemoryFileSystem>> Damages => new()
    {
        { "an L2 entry that leads to the refcount table", f => Patch(f, L2Entry, (1UL << 63) | 0x10000) },
        { "an L2 entry that leads to the header's cluster by way of L1", f => Patch(f, 0x30000, (1UL << 63) | 0x30000) },
        { "a data cluster counted as free", f => Patch(f, 0x20000 + (5 * 2), 0UL, 2) },
        { "a data cluster counted twice", f => Patch(f, 0x20000 + (5 * 2), 2UL, 2) },
        { "an L2 table counted twice", f => Patch(f, 0x20000 + (4 * 2), 2UL, 2) },
        { "an L1 entry and a refcount block in one place", f => Patch(f, 0x30000, (1UL << 63) | 0x20000) },
    };

    private const long L2Entry = 0x40000;

    private static void Patch(MemoryFileSystem files, long offset, ulong value, int bytes = 8)
    {
        byte[] all = new byte[8];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64BigEndian(all, value);
        using IBlockFile file = files.Open("/d/a", FileOpenMode.ReadWrite);
        file.Write(offset, all.AsSpan(8 - bytes));
    }

    [Theory]
    [MemberData(nameof(Damages))]
    public void Damage_is_never_written_over(string what, Action<MemoryFileSystem> damage)
    {
        var files = new MemoryFileSystem();
        files.CreateDirectory("/d");
        using (var image = Qcow2Image.Create(files, "/d/a", new ImageCreateOptions { VirtualSize = 1 << 20 })) image.Write(0, new byte[65536]);
        damage(files);
        using var damaged = Qcow2Image.Open(files, "/d/a", new ImageOpenOptions { Write = true });
        var error = Assert.Throws<Qcow2Exception>(() => damaged.Write(0, new byte[512]));
        Assert.True(error.Code is Qcow2ErrorCode.InvalidRefcount or Qcow2ErrorCode.InvalidTable, what);
        Assert.Contains("epair", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_free_count_never_lets_a_table_be_written_over()
    {
        var files = new MemoryFileSystem();
        files.CreateDirectory("/d");
        using (var image = Qcow2Image.Create(files, "/d/a", new ImageCreateOptions { VirtualSize = 1 << 20 })) image.Write(0, new byte[65536]);
        // Everything is counted as free.
        Patch(files, 0x20000, 0);
        Patch(files, 0x20008, 0);
        using var damaged = Qcow2Image.Open(files, "/d/a", new ImageOpenOptions { Write = true });
        Assert.Equal(Qcow2ErrorCode.InvalidRefcount, Assert.Throws<Qcow2Exception>(() => damaged.Write(1 << 19, new byte[512])).Code);
    }
}
