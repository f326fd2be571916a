using System.Text.Json;
using SnapshotTools.IO;
using SnapshotTools.Qcow2.Tests.Matrix;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Qcow2.Tests.Writing;

/// <summary>Bitmaps that our writer does not keep up are marked so, and nothing of them leaks.</summary>
public sealed class BitmapMarkTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private string Image => _folder.File("a.qcow2");

    public void Dispose() => _folder.Dispose();

    private void Create()
    {
        Tool.Run("qemu-img", ["create", "-q", "-f", "qcow2", Image, "16M"]);
        Tool.Run("qemu-img", ["bitmap", "--add", Image, "kept up"]);
        Tool.Run("qemu-img", ["bitmap", "--add", Image, "at rest"]);
        Tool.Run("qemu-img", ["bitmap", "--disable", Image, "at rest"]);
    }

    private string Flags() => string.Join("; ", JsonDocument.Parse(Tool.Run("qemu-img", ["info", "--output=json", Image])).RootElement
        .GetProperty("format-specific").GetProperty("data").GetProperty("bitmaps").EnumerateArray()
        .Select(b => $"{b.GetProperty("name").GetString()}: {string.Join(' ', b.GetProperty("flags").EnumerateArray().Select(f => f.GetString()).Order())}").Order());

    private Qcow2Image Open() => Qcow2Image.Open(SystemFiles.Instance, Image, new ImageOpenOptions { Write = true });

    [ToolFact("qemu-img")]
    public void A_write_marks_the_bitmap_that_should_have_noted_it()
    {
        Create();
        using (Qcow2Image image = Open())
        {
            image.Write(4096, new byte[] { 1, 2, 3 });
            image.Flush();
        }
        Assert.Equal("at rest: ; kept up: auto in-use", Flags());
        QemuJudge.AssertClean(Image);
        Tool.Run("qemu-img", ["bitmap", "--remove", Image, "kept up"]);
        QemuJudge.AssertClean(Image);
    }

    [ToolFact("qemu-img")]
    public void A_change_of_size_marks_all()
    {
        Create();
        using (Qcow2Image image = Open()) image.Resize(64 << 20);
        Assert.Equal("at rest: in-use; kept up: auto in-use", Flags());
        QemuJudge.AssertClean(Image);
    }

    [ToolFact("qemu-img")]
    public void Reading_marks_none()
    {
        Create();
        using (Qcow2Image image = Open()) image.Read(0, new byte[512]);
        Assert.Equal("at rest: ; kept up: auto", Flags());
    }
}
