using SnapshotTools.IO;
using SnapshotTools.Testing.Files;
using Xunit;

namespace SnapshotTools.Qcow2.Tests.Writing;

/// <summary>A file whose end was cut off is not written to, or what is missing would read as zeroes from then on.</summary>
public sealed class CutFileTests
{
    private const string Image = "/a.qcow2";
    private const int Cluster = 4096;

    [Theory]
    [InlineData(3 * Cluster, true)]
    [InlineData(Cluster, true)]
    [InlineData(100, false)]   // the last cluster may be short
    [InlineData(0, false)]
    public void What_lacks_data_is_refused(int missing, bool refused)
    {
        var files = new MemoryFileSystem();
        using (Qcow2Image image = Qcow2Image.Create(files, Image, new ImageCreateOptions { VirtualSize = 1 << 20, ClusterSize = Cluster }))
        {
            image.Write(0, new byte[8 * Cluster].Select(_ => (byte)7).ToArray());
            image.Flush();
        }
        using (IBlockFile file = files.Open(Image, FileOpenMode.ReadWrite)) file.SetLength(file.Length - missing);
        long length = files.Stat(Image)!.Length;

        using Qcow2Image cut = Qcow2Image.Open(files, Image, new ImageOpenOptions { Write = true });
        var error = Record.Exception(() => cut.Write(100 * Cluster, [1, 2, 3]));

        if (!refused)
        {
            Assert.Null(error);
            return;
        }
        Assert.Equal(Qcow2ErrorCode.Truncated, Assert.IsType<Qcow2Exception>(error).Code);
        Assert.Equal(length, files.Stat(Image)!.Length);
    }
}
