using System.Buffers.Binary;
using System.Text;
using SnapshotTools.IO;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Qcow2.Tests;

public sealed class HeaderTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static Qcow2Image Open(string path) => Qcow2Image.Open(SystemFiles.Instance, path, new ImageOpenOptions());

    [ToolTheory("qemu-img")]
    [InlineData("compat=0.10", 2, 65536, 16, false)]
    [InlineData("compat=1.1,cluster_size=512,refcount_bits=1", 3, 512, 1, false)]
    [InlineData("compat=1.1,cluster_size=2M,refcount_bits=64", 3, 2097152, 64, false)]
    [InlineData("compat=1.1,extended_l2=on,compression_type=zstd", 3, 65536, 16, true)]
    public void Header_of_an_image_that_qemu_made(string options, int version, int clusterSize, int refcountBits, bool extendedL2)
    {
        string path = _folder.File("a.qcow2");
        Tool.Run("qemu-img", ["create", "-q", "-f", "qcow2", "-o", options, path, "100M"]);
        using Qcow2Image image = Open(path);
        Assert.Equal((version, clusterSize, refcountBits, extendedL2), (image.Header.Version, image.Header.ClusterSize, image.Header.RefcountBits, image.Header.ExtendedL2));
        Assert.Equal(100L << 20, image.VirtualSize);
        Assert.Null(image.BackingFile);
        Assert.Null(image.BackingFormat);
    }

    [ToolFact("qemu-img")]
    public void Backing_name_and_format_are_read()
    {
        string path = _folder.File("a.qcow2");
        Tool.Run("qemu-img", ["create", "-q", "-u", "-f", "qcow2", "-b", "bäse.img", "-F", "raw", path, "1G"]);
        using Qcow2Image image = Open(path);
        Assert.Equal("bäse.img", image.BackingFile);
        Assert.Equal(ImageFormat.Raw, image.BackingFormat);
        Assert.Contains(image.Extensions, e => e.Type == HeaderExtension.FeatureNames && e.Data.Length % 48 == 0);
    }

    public static TheoryData<string, int, ulong, int, Qcow2ErrorCode, string> Damages => new()
    {
        { "magic", 0, 0, 4, Qcow2ErrorCode.NotQcow2, "magic" },
        { "version 1", 4, 1, 4, Qcow2ErrorCode.UnsupportedVersion, "version is 1" },
        { "cluster bits 8", 20, 8, 4, Qcow2ErrorCode.InvalidHeader, "cluster bits is 8" },
        { "cluster bits 22", 20, 22, 4, Qcow2ErrorCode.InvalidHeader, "cluster bits is 22" },
        { "size 2^63", 24, 1UL << 63, 8, Qcow2ErrorCode.InvalidHeader, "beyond 2^63" },
        { "size odd", 24, 513, 8, Qcow2ErrorCode.InvalidHeader, "multiple of 512" },
        { "size beyond L1", 24, 1UL << 40, 8, Qcow2ErrorCode.InvalidHeader, "its virtual size needs" },
        { "aes", 32, 1, 4, Qcow2ErrorCode.UnsupportedFeature, "AES" },
        { "luks", 32, 2, 4, Qcow2ErrorCode.UnsupportedFeature, "LUKS" },
        { "l1 size", 36, 1u << 31, 4, Qcow2ErrorCode.InvalidHeader, "number of L1 entries" },
        { "l1 unaligned", 40, 0x30200, 8, Qcow2ErrorCode.InvalidHeader, "L1 table" },
        { "l1 in the header", 40, 0, 8, Qcow2ErrorCode.InvalidHeader, "no L1 table" },
        { "l1 past the end", 40, 1UL << 40, 8, Qcow2ErrorCode.Truncated, "L1 table" },
        { "l1 over the refcount table", 40, 0x10000, 8, Qcow2ErrorCode.InvalidHeader, "overlaps" },
        { "refcount table clusters", 56, uint.MaxValue, 4, Qcow2ErrorCode.InvalidHeader, "refcount table clusters" },
        { "no refcount table", 56, 0, 4, Qcow2ErrorCode.InvalidHeader, "refcount table clusters" },
        { "snapshots", 60, 1u << 31, 4, Qcow2ErrorCode.InvalidHeader, "snapshots" },
        { "snapshot table past the end", 60, 1, 4, Qcow2ErrorCode.InvalidHeader, "no snapshot table" },
        { "data file", 72, 4, 8, Qcow2ErrorCode.UnsupportedFeature, "external data file" },
        { "raw external", 88, 2, 8, Qcow2ErrorCode.UnsupportedFeature, "external data file" },
        { "unknown bit", 72, 1UL << 40, 8, Qcow2ErrorCode.UnsupportedFeature, "bit 40" },
        { "compression bit alone", 72, 8, 8, Qcow2ErrorCode.InvalidHeader, "compression type" },
        { "refcount order", 96, 7, 4, Qcow2ErrorCode.InvalidHeader, "refcount order" },
        { "header length odd", 100, 109, 4, Qcow2ErrorCode.InvalidHeader, "multiple of 8" },
        { "header length short", 100, 96, 4, Qcow2ErrorCode.InvalidHeader, "header length" },
        { "header length long", 100, 0x10008, 4, Qcow2ErrorCode.InvalidHeader, "header length" },
        { "extension too long", 116, 0x10000, 4, Qcow2ErrorCode.InvalidHeader, "header extension" },
        { "backing name outside", 8, 0xFFFF, 8, Qcow2ErrorCode.InvalidHeader, "backing file name" },
    };

    [ToolTheory("qemu-img")]
    [MemberData(nameof(Damages))]
    public void A_damaged_header_is_refused(string what, int offset, ulong value, int bytes, Qcow2ErrorCode code, string words)
    {
        string path = _folder.File("a.qcow2");
        Tool.Run("qemu-img", ["create", "-q", "-f", "qcow2", path, "100M"]);
        byte[] content = File.ReadAllBytes(path);
        if (bytes == 4) BinaryPrimitives.WriteUInt32BigEndian(content.AsSpan(offset), (uint)value);
        else BinaryPrimitives.WriteUInt64BigEndian(content.AsSpan(offset), value);
        if (what.StartsWith("backing", StringComparison.Ordinal)) BinaryPrimitives.WriteUInt32BigEndian(content.AsSpan(16), 100);
        File.WriteAllBytes(path, content);
        var error = Assert.Throws<Qcow2Exception>(() => Open(path));
        Assert.Equal(code, error.Code);
        Assert.Contains(words, error.Message, StringComparison.Ordinal);
        Assert.Contains(path, error.Message, StringComparison.Ordinal);
    }

    [ToolFact("qemu-img")]
    public void A_file_cut_before_its_tables_is_refused()
    {
        string path = _folder.File("a.qcow2");
        Tool.Run("qemu-img", ["create", "-q", "-f", "qcow2", path, "100M"]);
        byte[] content = File.ReadAllBytes(path);
        for (int length = 0; length < content.Length; length += length < 600 ? 1 : 4093)
        {
            File.WriteAllBytes(path, content.AsSpan(0, length));
            if (length >= 3 * 65536 + 8) continue;
            var error = Assert.Throws<Qcow2Exception>(() => Open(path));
            Assert.Contains(error.Code, new[] { Qcow2ErrorCode.NotQcow2, Qcow2ErrorCode.Truncated });
        }
    }

    [Fact]
    public void An_unknown_feature_is_named_by_the_image_without_its_control_characters()
    {
        byte[] image = new byte[4 * 65536];
        void U32(int at, uint value) => BinaryPrimitives.WriteUInt32BigEndian(image.AsSpan(at), value);
        U32(0, HeaderParser.Magic);
        U32(4, 3);
        U32(20, 16);
        U32(28, 1 << 20);
        U32(36, 1);
        U32(44, 0x30000);
        U32(52, 0x10000);
        U32(56, 1);
        U32(76, 1 << 7);
        U32(96, 4);
        U32(100, 104);
        U32(104, HeaderExtension.FeatureNames);
        U32(108, 48);
        image[113] = 7;
        Encoding.ASCII.GetBytes("time\x1b[31m travel").CopyTo(image.AsSpan(114));
        string path = _folder.File("a.qcow2");
        File.WriteAllBytes(path, image);
        var error = Assert.Throws<Qcow2Exception>(() => Open(path));
        Assert.Equal(Qcow2ErrorCode.UnsupportedFeature, error.Code);
        Assert.Contains("bit 7 (time?[31m travel)", error.Message, StringComparison.Ordinal);
    }
}
