using SnapshotTools.IO;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Qcow2.Tests;

public sealed class ReadTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private ImageOpenOptions Trusted => new() { Backing = BackingPolicy.Allowed, AllowedBacking = [_folder.Path] };

    private Qcow2Image Open(string path) => Qcow2Image.Open(SystemFiles.Instance, path, Trusted);

    [Fact]
    public void An_image_that_was_closed_reads_nothing()
    {
        string path = _folder.File("closed.qcow2");
        Qcow2Image.Create(SystemFiles.Instance, path, new ImageCreateOptions { VirtualSize = 1 << 20 }).Dispose();
        var image = Open(path);
        image.Read(0, new byte[512]);
        image.Dispose();
        Assert.Throws<ObjectDisposedException>(() => image.Read(0, new byte[512]));
    }

    private string Create(string name, string options, string size, string? backing = null, string format = "qcow2")
    {
        string path = _folder.File(name);
        List<string> arguments = ["create", "-q", "-f", "qcow2", "-o", options];
        if (backing is not null) arguments.AddRange(["-b", backing, "-F", format]);
        Tool.Run("qemu-img", [.. arguments, path, size]);
        return path;
    }

    private static void Io(string path, params string[] commands) =>
        Tool.Run("qemu-io", ["-f", "qcow2", .. commands.SelectMany(c => new[] { "-c", c }), path]);

    private static void RandomWrites(string path, Random random, int size, int count, bool zeroes)
    {
        var commands = new List<string>();
        for (int i = 0; i < count; i++)
        {
            int offset = random.Next(size / 512) * 512, length = Math.Min(size - offset, (1 + random.Next(1 << random.Next(1, 9))) * 512);
            commands.Add((zeroes ? random.Next(4) : 0) switch
            {
                1 => $"write -q -z {offset} {length}",
                2 => $"write -q -z -u {offset} {length}",
                3 => $"discard -q {offset} {length}",
                _ => $"write -q -P {random.Next(1, 256)} {offset} {length}",
            });
        }
        Io(path, [.. commands]);
    }

    private void AssertReadsAsQemu(string path, int seed)
    {
        string raw = _folder.File("judge.raw");
        Tool.Run("qemu-img", ["convert", "-f", "qcow2", "-O", "raw", path, raw]);
        byte[] expected = File.ReadAllBytes(raw);
        using Qcow2Image image = Open(path);
        Assert.Equal(expected.Length, image.VirtualSize);
        byte[] actual = new byte[expected.Length];
        image.Read(0, actual);
        AssertSame(expected, actual, 0, path);
        var random = new Random(seed);
        for (int i = 0; i < 200; i++)
        {
            int offset = random.Next(expected.Length), length = random.Next(Math.Min(expected.Length - offset, 300_000));
            Span<byte> part = actual.AsSpan(0, length);
            part.Fill(0xEE);
            image.Read(offset, part);
            AssertSame(expected.AsSpan(offset, length), part, offset, path);
        }
    }

    private static void AssertSame(ReadOnlySpan<byte> expected, ReadOnlySpan<byte> actual, long offset, string path)
    {
        int same = expected.CommonPrefixLength(actual);
        Assert.True(same == expected.Length && expected.Length == actual.Length, $"{path} differs at {offset + same}");
    }

    [ToolTheory("qemu-img", "qemu-io")]
    [InlineData("compat=0.10", "compat=1.1,cluster_size=512", "compat=1.1,extended_l2=on")]
    [InlineData("compat=1.1,cluster_size=2M", "compat=1.1", "compat=1.1,cluster_size=4k")]
    [InlineData("compat=1.1,extended_l2=on,cluster_size=16k", "compat=1.1,cluster_size=2M,extended_l2=on", "compat=1.1")]
    public void A_chain_reads_as_qemu_reads_it(params string[] options)
    {
        var random = new Random(42);
        // The middle layer is the smallest: what is below it must not show beyond its end.
        int[] sizes = [9 << 20, 7 << 20, 12 << 20];
        string? below = null;
        for (int i = 0; i < options.Length; i++)
        {
            string path = Create($"{i}.qcow2", options[i], $"{sizes[i] + (512 * i)}", below);
            RandomWrites(path, random, sizes[i], 60, zeroes: !options[i].Contains("0.10", StringComparison.Ordinal) || below is null);
            AssertReadsAsQemu(path, i);
            below = $"{i}.qcow2";
        }
    }

    [ToolFact("qemu-img", "qemu-io")]
    public void A_raw_base_shows_through_with_its_holes()
    {
        byte[] content = new byte[(3 << 20) + 100];
        new Random(1).NextBytes(content.AsSpan(1 << 20, 1 << 20));
        content[^1] = 7;
        using (FileStream raw = File.Create(_folder.File("base.raw")))
        {
            raw.Position = 1 << 20;
            raw.Write(content.AsSpan(1 << 20, 1 << 20));
            raw.Position = content.Length - 1;
            raw.WriteByte(7);
        }
        string path = Create("a.qcow2", "compat=1.1", "8M", "base.raw", "raw");
        Io(path, "write -q -P 9 1100k 100k");
        AssertReadsAsQemu(path, 0);
        using Qcow2Image image = Open(path);
        Assert.IsType<RawImage>(image.Backing);
        Assert.Equal((3 << 20) + 512, image.Backing.VirtualSize);
        List<MapExtent> map = [.. image.Map(0, image.VirtualSize)];
        Assert.Equal(new MapExtent(0, 1 << 20, ExtentKind.Zero, 1, -1), map[0]);
        Assert.Equal((1L << 20, ExtentKind.Data, 1, 1L << 20), (map[1].Offset, map[1].Kind, map[1].Layer, map[1].HostOffset));
        Assert.Equal((ExtentKind.Data, 0), (map[2].Kind, map[2].Layer));
        Assert.Equal(image.VirtualSize, map.Sum(e => e.Count));
        Assert.Equal(ExtentKind.Unallocated, map[^1].Kind);
    }

    [ToolFact("qemu-img")]
    public void A_backing_file_is_opened_only_when_it_is_allowed()
    {
        string secret = _folder.File("secret.raw");
        File.WriteAllBytes(secret, new byte[65536]);
        string path = Create("a.qcow2", "compat=1.1", "64k", "secret.raw", "raw");

        using (var image = Qcow2Image.Open(SystemFiles.Instance, path, new ImageOpenOptions()))
        {
            Assert.Null(image.Backing);
            var error = Assert.Throws<Qcow2Exception>(() => image.Read(0, new byte[512]));
            Assert.Equal(Qcow2ErrorCode.BackingNotAllowed, error.Code);
            Assert.Equal(ExtentKind.Unallocated, Assert.Single(image.MapLayer(0, 65536)).Kind);
        }
        foreach (string[] allowed in new[] { Array.Empty<string>(), [_folder.File("secret.ra")], [_folder.Path + "x"] })
        {
            var options = new ImageOpenOptions { Backing = BackingPolicy.Allowed, AllowedBacking = allowed };
            var error = Assert.Throws<Qcow2Exception>(() => Qcow2Image.Open(SystemFiles.Instance, path, options));
            Assert.Equal(Qcow2ErrorCode.BackingNotAllowed, error.Code);
        }
        foreach (string[] allowed in new[] { [secret], new[] { _folder.Path } })
        {
            var options = new ImageOpenOptions { Backing = BackingPolicy.Allowed, AllowedBacking = allowed };
            using var image = Qcow2Image.Open(SystemFiles.Instance, path, options);
            image.Read(0, new byte[512]);
        }
        File.Delete(secret);
        Assert.Equal(Qcow2ErrorCode.BackingMissing, Assert.Throws<Qcow2Exception>(() => Open(path)).Code);
    }

    [ToolTheory("qemu-img")]
    [InlineData("../base.raw")]
    [InlineData("/etc/passwd")]
    [InlineData("json:{\"driver\":\"raw\"}")]
    [InlineData("nbd://localhost/x")]
    [InlineData("file:base.raw")]
    public void Names_that_lead_elsewhere_are_refused(string name)
    {
        string path = _folder.File("a.qcow2");
        Tool.Run("qemu-img", ["create", "-q", "-u", "-f", "qcow2", "-b", name, "-F", "raw", path, "1M"]);
        var error = Assert.Throws<Qcow2Exception>(() => Open(path));
        Assert.Equal(Qcow2ErrorCode.BackingNotAllowed, error.Code);
    }

    [ToolFact("qemu-img")]
    public void Loops_of_any_length_and_formats_that_nobody_recorded_are_refused()
    {
        foreach (int length in new[] { 1, 2, 5 })
        {
            for (int i = 0; i < length; i++)
                Tool.Run("qemu-img", ["create", "-q", "-u", "-f", "qcow2", "-b", $"l{(i + 1) % length}", "-F", "qcow2", _folder.File($"l{i}"), "1M"]);
            Assert.Equal(Qcow2ErrorCode.BackingLoop, Assert.Throws<Qcow2Exception>(() => Open(_folder.File("l0"))).Code);
        }
        string path = _folder.File("a.qcow2");
        Tool.Run("qemu-img", ["create", "-q", "-u", "-f", "qcow2", "-b", "base", "-F", "raw", path, "1M"]);
        byte[] content = File.ReadAllBytes(path);
        int at = content.AsSpan().IndexOf(new byte[] { 0xE2, 0x79, 0x2A, 0xCA });
        content[at] = 0x11;
        File.WriteAllBytes(path, content);
        Assert.Equal(Qcow2ErrorCode.BackingFormatUnknown, Assert.Throws<Qcow2Exception>(() => Open(path)).Code);
    }

    [ToolFact("qemu-img", "qemu-io")]
    public void Usage_and_map_of_one_layer()
    {
        Create("base.qcow2", "compat=1.1", "10M");
        string path = Create("a.qcow2", "compat=1.1", "10M", "base.qcow2");
        Io(path, "write -q -P 1 64k 192k", "write -q -z -u 1M 128k", "write -q -c -P 2 2M 64k");
        using Qcow2Image image = Open(path);
        LayerUsage usage = image.GetUsage();
        Assert.Equal((192 << 10, 128 << 10, 64 << 10), (usage.DataBytes, usage.ZeroBytes, usage.CompressedBytes));
        Assert.InRange(usage.HostBytes, (192 << 10) + 512, (192 << 10) + 1024);
        Assert.Equal(
            [ExtentKind.Unallocated, ExtentKind.Data, ExtentKind.Unallocated, ExtentKind.Zero, ExtentKind.Unallocated, ExtentKind.Compressed, ExtentKind.Unallocated],
            image.MapLayer(0, image.VirtualSize).Select(e => e.Kind));
        Assert.Throws<ArgumentOutOfRangeException>(() => image.MapLayer(0, image.VirtualSize + 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => image.Read(image.VirtualSize - 1, new byte[2]));
        image.Read(image.VirtualSize, []);
    }
}
