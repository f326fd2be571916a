using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using SnapshotTools.IO;
using SnapshotTools.Testing;
using SnapshotTools.Testing.Files;
using Xunit;

namespace SnapshotTools.Qcow2.Tests.Writing;

public sealed class HeaderChangeTests : IDisposable
{
    private const uint Ours = 0x12345678;

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static byte[] Bytes(int count, int seed)
    {
        byte[] bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    /// <summary>Changes that let the list of extensions go through all its layouts, by the size of a cluster.</summary>
    private static IEnumerable<(string What, Action<Qcow2Image> Do)> Changes(int clusterSize)
    {
        int large = clusterSize switch { 512 => 60, 1024 => 150, 4096 => 400, _ => 20_000 };
        yield return ("name", i => i.SetBacking("a.qcow2", ImageFormat.Qcow2));
        yield return ("longer name", i => i.SetBacking("directory/" + new string('b', Math.Min(large, 900)), ImageFormat.Raw));
        yield return ("extension", i => i.SetExtension(Ours, Bytes(large / 2, 1)));
        yield return ("other extension", i => i.SetExtension(Ours + 1, Bytes(3, 2)));
        yield return ("no name", i => i.SetBacking(null, null));
        yield return ("longer extension", i => i.SetExtension(Ours, Bytes(large, 3)));
        yield return ("name again", i => i.SetBacking("./c:d.qcow2", ImageFormat.Qcow2));
        yield return ("shorter extension", i => i.SetExtension(Ours, Bytes(1, 4)));
        yield return ("empty extension", i => i.SetExtension(Ours, []));
    }

    [ToolTheory("qemu-img")]
    [InlineData(512, 3)]
    [InlineData(1024, 3)]
    [InlineData(4096, 3)]
    [InlineData(65536, 3)]
    [InlineData(65536, 2)]
    public void Names_and_extensions_are_replaced_and_qemu_sees_it(int clusterSize, int version)
    {
        string path = _folder.File("a.qcow2");
        var options = new ImageOpenOptions { Write = true };
        var expected = new Dictionary<uint, byte[]>();
        Qcow2Image.Create(SystemFiles.Instance, path, new ImageCreateOptions { VirtualSize = 1 << 20, ClusterSize = clusterSize, Version = version }).Dispose();
        foreach ((string what, Action<Qcow2Image> change) in Changes(clusterSize).Where(c => clusterSize > 1024 || c.What != "longer extension"))
        {
            string? name;
            using (var image = Qcow2Image.Open(SystemFiles.Instance, path, options))
            {
                if (what.EndsWith("name", StringComparison.Ordinal) && what.StartsWith("longer", StringComparison.Ordinal) && clusterSize > 4096)
                    image.SetBacking(new string('x', 1023), ImageFormat.Raw);
                else
                    change(image);
                name = image.BackingFile;
                expected = image.Extensions.ToDictionary(e => e.Type, e => e.Data.ToArray());
            }
            using (var image = Qcow2Image.Open(SystemFiles.Instance, path, options))
            {
                Assert.Equal(name, image.BackingFile);
                Assert.Equal(expected.Keys, image.Extensions.Select(e => e.Type));
                Assert.All(image.Extensions, e => Assert.Equal(expected[e.Type], e.Data.ToArray()));
            }
            using JsonDocument info = JsonDocument.Parse(Tool.Run("qemu-img", ["info", "--output=json", "-f", "qcow2", path]));
            Assert.Equal(name, info.RootElement.TryGetProperty("backing-filename", out JsonElement seen) ? seen.GetString() : null);
            Assert.Equal(expected.TryGetValue(HeaderExtension.BackingFormat, out byte[]? format) ? Encoding.ASCII.GetString(format) : null,
                info.RootElement.TryGetProperty("backing-filename-format", out JsonElement seenFormat) ? seenFormat.GetString() : null);
        }
        if (version == 3) Assert.Equal([], expected[Ours]);
        CheckAlone(path);
    }

    private static void CheckAlone(string path)
    {
        using (var image = Qcow2Image.Open(SystemFiles.Instance, path, new ImageOpenOptions { Write = true })) image.SetBacking(null, null);
        Tool.Run("qemu-img", ["check", "-q", "-f", "qcow2", path]);
    }

    [ToolFact("qemu-img")]
    public void Qemu_keeps_our_extensions_and_we_keep_those_of_qemu()
    {
        string path = _folder.File("a.qcow2");
        Tool.Run("qemu-img", ["create", "-q", "-u", "-f", "qcow2", "-b", "old.raw", "-F", "raw", path, "10M"]);
        byte[] names;
        using (var image = Qcow2Image.Open(SystemFiles.Instance, path, new ImageOpenOptions { Write = true }))
        {
            names = image.Extensions.Single(e => e.Type == HeaderExtension.FeatureNames).Data.ToArray();
            image.SetExtension(Ours, Bytes(100, 1));
            image.SetBacking("new.qcow2", ImageFormat.Qcow2);
            image.SetExtension(Ours, Bytes(200, 2));
        }
        // It rewrites the whole header, with the gap as an extension like any other.
        Tool.Run("qemu-img", ["rebase", "-u", "-f", "qcow2", "-b", "newest.qcow2", "-F", "qcow2", path]);
        using (var image = Qcow2Image.Open(SystemFiles.Instance, path, new ImageOpenOptions { Write = true }))
        {
            Assert.Equal("newest.qcow2", image.BackingFile);
            Assert.Equal(Bytes(200, 2), image.Extensions.Single(e => e.Type == Ours).Data.ToArray());
            Assert.Equal(names, image.Extensions.Single(e => e.Type == HeaderExtension.FeatureNames).Data.ToArray());
            image.SetBacking("last.qcow2", ImageFormat.Raw);
            Assert.Equal(names, image.Extensions.Single(e => e.Type == HeaderExtension.FeatureNames).Data.ToArray());
        }
        Assert.Contains("last.qcow2", Tool.Run("qemu-img", ["info", path]), StringComparison.Ordinal);
        CheckAlone(path);
    }

    [Theory]
    [InlineData(512)]
    [InlineData(1024)]
    [InlineData(4096)]
    [InlineData(65536)]
    public void A_crash_leaves_the_old_header_or_the_new_one(int clusterSize)
    {
        var files = new MemoryFileSystem();
        files.CreateDirectory("/d");
        byte[] identity = Bytes(clusterSize switch { 512 => 64, 1024 => 100, _ => 300 }, 9);
        Qcow2Image.Create(files, "/d/a", new ImageCreateOptions { VirtualSize = 1 << 20, ClusterSize = clusterSize, Extensions = [new HeaderExtension(Ours + 7, identity)] }).Dispose();
        int states = 0;
        foreach ((string what, Action<Qcow2Image> change) in Changes(clusterSize))
        {
            MemoryFileSystem before = files.Copy();
            var recorder = new RecordingFileSystem(files);
            (string?, string) old, changed;
            using (var image = Qcow2Image.Open(recorder, "/d/a", new ImageOpenOptions { Write = true }))
            {
                old = Seen(image);
                try
                {
                    change(image);
                }
                catch (Qcow2Exception e) when (e.Code == Qcow2ErrorCode.HeaderFull)
                {
                    Assert.True(clusterSize <= 1024);
                    Assert.Equal(old, Seen(image));
                    continue;
                }
                changed = Seen(image);
            }
            var model = new CrashModel(before, recorder.Effects);
            foreach (CrashState state in model.Kills().Concat(model.PowerCuts()))
            {
                using var image = Qcow2Image.Open(state.Files, "/d/a", new ImageOpenOptions());
                Assert.True(Seen(image) == old || Seen(image) == changed, $"{what}: {state.Description}");
                states++;
            }
            using var after = Qcow2Image.Open(files, "/d/a", new ImageOpenOptions());
            Assert.Equal(changed, Seen(after));
            Assert.NotEqual(old, changed);
        }
        Assert.True(states > 20);

        (string?, string) Seen(Qcow2Image image)
        {
            Assert.Equal(identity, image.Extensions.Single(e => e.Type == Ours + 7).Data.ToArray());
            return (image.BackingFile, string.Join(' ', image.Extensions.Select(e => $"{e.Type:x}:{Convert.ToHexString(e.Data.Span)}")));
        }
    }

    [Fact]
    public void A_header_that_is_full_is_left_as_it_is()
    {
        var files = new MemoryFileSystem();
        files.CreateDirectory("/d");
        Assert.Equal(Qcow2ErrorCode.HeaderFull, Assert.Throws<Qcow2Exception>(() => Qcow2Image.Create(files, "/d/b", new ImageCreateOptions
        {
            VirtualSize = 512,
            ClusterSize = 512,
            BackingFile = new string('x', 500),
            BackingFormat = ImageFormat.Raw,
        })).Code);
        Assert.Null(files.Stat("/d/b"));

        using var image = Qcow2Image.Create(files, "/d/a", new ImageCreateOptions { VirtualSize = 512, ClusterSize = 512, BackingFile = "x", BackingFormat = ImageFormat.Raw });
        Assert.Equal(Qcow2ErrorCode.HeaderFull, Assert.Throws<Qcow2Exception>(() => image.SetBacking(new string('y', 500), ImageFormat.Raw)).Code);
        Assert.Equal("x", image.BackingFile);
        image.SetBacking("z", ImageFormat.Raw);
    }

    [Fact]
    public void Names_that_qemu_would_take_for_something_else_are_not_recorded()
    {
        var files = new MemoryFileSystem();
        files.CreateDirectory("/d");
        using var image = Qcow2Image.Create(files, "/d/a", new ImageCreateOptions { VirtualSize = 512 });
        foreach (string name in new[] { "", "a:b", "nbd://x", "json:{}", "a\0b", new string('x', 1024), new string('ü', 512) })
            Assert.Throws<ArgumentException>(() => image.SetBacking(name, ImageFormat.Raw));
        Assert.Throws<ArgumentException>(() => image.SetBacking("x", null));
        Assert.Throws<ArgumentException>(() => image.SetExtension(0, []));
        Assert.Null(image.BackingFile);
    }

    [Fact]
    public void The_first_change_clears_the_features_that_vouch_for_bitmaps()
    {
        var files = new MemoryFileSystem();
        files.CreateDirectory("/d");
        Qcow2Image.Create(files, "/d/a", new ImageCreateOptions { VirtualSize = 1 << 20 }).Dispose();
        using (IBlockFile file = files.Open("/d/a", FileOpenMode.ReadWrite))
        {
            byte[] bits = new byte[8];
            BinaryPrimitives.WriteUInt64BigEndian(bits, (1UL << 40) | 1);
            file.Write(88, bits);
        }
        using (var image = Qcow2Image.Open(files, "/d/a", new ImageOpenOptions { Write = true })) image.Read(0, new byte[1]);
        using (var image = Qcow2Image.Open(files, "/d/a", new ImageOpenOptions { Write = true }))
        {
            Assert.Equal((1UL << 40) | 1, image.Header.AutoclearFeatures);
            image.Write(0, [1]);
        }
        using (var image = Qcow2Image.Open(files, "/d/a", new ImageOpenOptions())) Assert.Equal(0UL, image.Header.AutoclearFeatures);
    }

    [Theory]
    [InlineData(1UL, Qcow2ErrorCode.Dirty)]
    [InlineData(2UL, Qcow2ErrorCode.Corrupt)]
    public void An_image_to_be_repaired_is_read_and_not_written(ulong bits, Qcow2ErrorCode code)
    {
        var files = new MemoryFileSystem();
        files.CreateDirectory("/d");
        Qcow2Image.Create(files, "/d/a", new ImageCreateOptions { VirtualSize = 1 << 20 }).Dispose();
        using (IBlockFile file = files.Open("/d/a", FileOpenMode.ReadWrite)) file.Write(79, [(byte)bits]);
        using (var image = Qcow2Image.Open(files, "/d/a", new ImageOpenOptions())) image.Read(0, new byte[512]);
        Assert.Equal(code, Assert.Throws<Qcow2Exception>(() => Qcow2Image.Open(files, "/d/a", new ImageOpenOptions { Write = true })).Code);
    }
}
