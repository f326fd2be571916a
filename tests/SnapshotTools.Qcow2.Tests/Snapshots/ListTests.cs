using System.Globalization;
using System.Text.Json;
using SnapshotTools.IO;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Qcow2.Tests.Snapshots;

public sealed class ListTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private string Image => _folder.File("a.qcow2");

    public void Dispose() => _folder.Dispose();

    private Qcow2Image Open() => Qcow2Image.Open(SystemFiles.Instance, Image, new ImageOpenOptions());

    private JsonElement Info() => JsonDocument.Parse(Tool.Run("qemu-img", ["info", "--output=json", Image])).RootElement;

    [ToolTheory("qemu-img")]
    [InlineData("0.10")]
    [InlineData("1.1")]
    public void Snapshots_are_listed_as_qemu_lists_them(string compat)
    {
        Tool.Run("qemu-img", ["create", "-q", "-f", "qcow2", "-o", $"compat={compat},cluster_size=4096", Image, "3M"]);
        string[] names = ["first", "größer", new string('n', 200), "a b'c\"d"];
        foreach (string name in names) Tool.Run("qemu-img", ["snapshot", "-c", name, Image]);
        Tool.Run("qemu-img", ["snapshot", "-d", "first", Image]);

        using Qcow2Image image = Open();
        IReadOnlyList<InternalSnapshot> snapshots = image.ReadSnapshots();
        JsonElement[] expected = [.. Info().GetProperty("snapshots").EnumerateArray()];
        Assert.Equal(names[1..], snapshots.Select(s => s.Name));
        Assert.Equal(expected.Select(e => e.GetProperty("id").GetString()), snapshots.Select(s => s.Id));
        Assert.Equal(expected.Select(e => e.GetProperty("date-sec").GetInt64()), snapshots.Select(s => s.CreatedAt.ToUnixTimeSeconds()));
        Assert.Equal(expected.Select(e => e.GetProperty("date-nsec").GetInt64() / 100), snapshots.Select(s => s.CreatedAt.Ticks % TimeSpan.TicksPerSecond));
        // qemu-img records 0 instructions, a running QEMU -1 for "not counted".
        Assert.All(snapshots, s => Assert.Equal((0, 3 << 20, 0), (s.VmStateBytes, s.VirtualSize, s.InstructionCount)));
        Assert.All(snapshots, s => Assert.True(s.L1Offset > 0 && s.L1Entries > 0));
    }

    [ToolFact("qemu-img")]
    public void A_thousand_snapshots_are_listed()
    {
        Tool.Run("qemu-img", ["create", "-q", "-f", "qcow2", "-o", "cluster_size=512", Image, "64k"]);
        Tool.Run("qemu-img", ["snapshot", "-c", "one", Image]);
        // qemu-img takes 15 ms for each: the table is multiplied by hand instead.
        using Qcow2Image image = Open();
        InternalSnapshot one = Assert.Single(image.ReadSnapshots());
        byte[] bytes = File.ReadAllBytes(Image);
        int table = (bytes.Length + 511) & ~511;
        Array.Resize(ref bytes, table);
        int entryBytes = (40 + one.ExtraData.Length + one.Id.Length + one.Name.Length + 7) & ~7;
        byte[] entry = bytes.AsSpan((int)image.Header.SnapshotsOffset, entryBytes).ToArray();
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(60), 1000);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(64), (ulong)table);
        File.WriteAllBytes(Image, [.. bytes, .. Enumerable.Repeat(entry, 1000).SelectMany(e => e)]);
        using Qcow2Image many = Open();
        Assert.Equal(Enumerable.Repeat(one with { ExtraData = default }, 1000), many.ReadSnapshots().Select(s => s with { ExtraData = default }));
    }

    [ToolFact("qemu-img")]
    public void Bitmaps_are_listed_as_qemu_lists_them()
    {
        Tool.Run("qemu-img", ["create", "-q", "-f", "qcow2", Image, "64M"]);
        Tool.Run("qemu-img", ["bitmap", "--add", "-g", "512", Image, "fine"]);
        Tool.Run("qemu-img", ["bitmap", "--add", "-g", "1M", Image, "großes Korn"]);
        Tool.Run("qemu-img", ["bitmap", "--disable", Image, "großes Korn"]);

        using Qcow2Image image = Open();
        BitmapDirectory directory = image.ReadBitmaps();
        Assert.True(directory.Consistent);
        JsonElement[] expected = [.. Info().GetProperty("format-specific").GetProperty("data").GetProperty("bitmaps").EnumerateArray()];
        Assert.Equal(expected.Select(e => e.GetProperty("name").GetString()), directory.Bitmaps.Select(b => b.Name));
        Assert.Equal(expected.Select(e => e.GetProperty("granularity").GetInt64()), directory.Bitmaps.Select(b => b.Granularity));
        Assert.Equal(
            expected.Select(e => string.Join(' ', e.GetProperty("flags").EnumerateArray().Select(f => f.GetString()).Order())),
            directory.Bitmaps.Select(b => string.Create(CultureInfo.InvariantCulture, $"{(b.Auto ? "auto" : "")}{(b.InUse ? " in-use" : "")}").Trim()));
    }

    [ToolFact("qemu-img")]
    public void An_image_without_snapshots_and_bitmaps_lists_none()
    {
        Tool.Run("qemu-img", ["create", "-q", "-f", "qcow2", Image, "64M"]);
        using Qcow2Image image = Open();
        Assert.Empty(image.ReadSnapshots());
        Assert.Empty(image.ReadBitmaps().Bitmaps);
        Assert.True(image.ReadBitmaps().Consistent);
    }
}
