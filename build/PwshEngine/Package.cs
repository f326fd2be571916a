using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;

namespace PwshEngine;

/// <summary>The npm package with the Windows build.</summary>
internal static class Package
{
    /// <summary>Checks the archive against its integrity (as npm writes it: sha512-BASE64), unpacks it and returns the folder of PowerShell.</summary>
    public static string Unpack(string archive, string integrity, string folder)
    {
        using (var file = File.OpenRead(archive))
        {
            string actual = "sha512-" + Convert.ToBase64String(SHA512.HashData(file));
            if (actual != integrity) throw new InvalidDataException($"{Path.GetFileName(archive)} has the integrity {actual}, expected was {integrity}. It is not used.");
            file.Position = 0;
            Directory.CreateDirectory(folder);
            using var gzip = new GZipStream(file, CompressionMode.Decompress);
            TarFile.ExtractToDirectory(gzip, folder, overwriteFiles: false);
        }
        return Path.Combine(folder, "package", "pwsh");
    }
}
