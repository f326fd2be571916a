using System.Globalization;
using System.Text;

namespace SnapshotTools.Guest;

/// <summary>Writes the archive that a Linux kernel unpacks as its initial file system: cpio "newc"
/// (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).</summary>
internal sealed class CpioArchive(Stream output)
{
    private const int Directory = 0x4000, Link = 0xa000, Regular = 0x8000;
    private readonly HashSet<string> _known = [];
    private int _inodes;

    public void AddDirectory(string path)
    {
        string? parent = System.IO.Path.GetDirectoryName(path);
        if (!string.IsNullOrEmpty(parent)) AddDirectory(parent);
        if (_known.Add(path)) Write(path, Directory | 0b111_101_101, []);
    }

    public void AddFile(string path, byte[] content, bool executable = false)
    {
        AddDirectory(System.IO.Path.GetDirectoryName(path)!);
        if (_known.Add(path)) Write(path, Regular | (executable ? 0b111_101_101 : 0b110_100_100), content);
    }

    public void AddLink(string path, string target)
    {
        AddDirectory(System.IO.Path.GetDirectoryName(path)!);
        if (_known.Add(path)) Write(path, Link | 0b111_111_111, Encoding.UTF8.GetBytes(target));
    }

    public void End() => Write("TRAILER!!!", 0, []);

    private void Write(string path, int mode, byte[] content)
    {
        byte[] name = Encoding.UTF8.GetBytes(path + "\0");
        if (path.Length == 0) return;
        int[] fields = [++_inodes, mode, 0, 0, 1, 0, content.Length, 0, 0, 0, 0, name.Length, 0];
        var header = new StringBuilder("070701");
        foreach (int field in fields) header.Append(CultureInfo.InvariantCulture, $"{field:x8}");
        output.Write(Encoding.ASCII.GetBytes(header.ToString()));
        output.Write(name);
        output.Write(new byte[Padding(header.Length + name.Length)]);
        output.Write(content);
        output.Write(new byte[Padding(content.Length)]);
    }

    private static int Padding(int length) => (4 - length % 4) % 4;
}
