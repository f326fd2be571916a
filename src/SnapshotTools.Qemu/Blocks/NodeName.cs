using System.Security.Cryptography;
using System.Text;

namespace SnapshotTools.Qemu.Blocks;

/// <summary>
/// The names of QEMU's block nodes. A file has the same name in every machine and every session, so that its node is
/// found again by name. QEMU allows 31 characters.
/// </summary>
public static class NodeName
{
    private const string Digits = "abcdefghijklmnopqrstuvwxyz234567";
    private const int Length = 26;  // of 5 bits: 128 bits of the path's SHA-256

    /// <summary>The node of the firmware's code, and the one below it. They are no layers.</summary>
    public const string Firmware = "firmware", FirmwareFile = "firmware-file";

    /// <summary>The node that understands the format of a file: what a device or another layer reads from.</summary>
    public static string OfLayer(string path) => "l" + Hash(path);

    /// <summary>The node below it, which reads and writes the file itself.</summary>
    public static string OfFile(string path) => "f" + Hash(path);

    /// <summary>Whether a node is one of the firmware's code.</summary>
    public static bool IsOfFirmware(string name) => name is Firmware or FirmwareFile;

    /// <summary>Whether a node was named after a layer's file.</summary>
    public static bool IsOurs(string name) => name.Length == Length + 1 && (name[0] is 'l' or 'f') && name.Skip(1).All(Digits.Contains);

    // Base 32 as in RFC 4648 section 6, lower case, without padding.
    private static string Hash(string path)
    {
        byte[] bytes = SHA256.HashData(Encoding.UTF8.GetBytes(path));
        Span<char> text = stackalloc char[Length];
        for (int i = 0; i < text.Length; i++)
        {
            int bit = i * 5;
            int pair = bytes[bit / 8] << 8 | bytes[bit / 8 + 1];
            text[i] = Digits[pair >> (11 - bit % 8) & 31];
        }
        return new string(text);
    }
}
