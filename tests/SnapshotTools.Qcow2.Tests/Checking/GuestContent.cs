using System.Security.Cryptography;
using SnapshotTools.IO;

namespace SnapshotTools.Qcow2.Tests.Checking;

/// <summary>The guest's disk and those of the internal snapshots, cluster by cluster.</summary>
public static class GuestContent
{
    private const int MaxClusters = 40_000;

    /// <summary>A digest of each cluster; null for what cannot be read. Empty when the image does not open.</summary>
    public static List<string?> Of(IFileSystem files)
    {
        List<string?> content = [];
        try
        {
            using Qcow2Image image = Qcow2Image.Open(files, "/a.qcow2", new ImageOpenOptions());
            byte[] part = new byte[image.Header.ClusterSize];
            Add(content, image, part);
            foreach (InternalSnapshot snapshot in image.ReadSnapshots().Take(8)) Add(content, image.OpenSnapshot(snapshot), part);
        }
        catch (Qcow2Exception)
        {
            // What was read so far is compared.
        }
        return content;
    }

    /// <summary>The first cluster that could be read before and is otherwise now; null when all is as it was.</summary>
    public static int? FirstDifference(List<string?> before, List<string?> after)
    {
        for (int i = 0; i < before.Count; i++)
            if (before[i] is not null && (i >= after.Count || before[i] != after[i])) return i;
        return null;
    }

    private static void Add(List<string?> content, IDiskImage disk, byte[] part)
    {
        for (long at = 0; at < disk.VirtualSize && content.Count < MaxClusters; at += part.Length)
        {
            try
            {
                Span<byte> bytes = part.AsSpan(0, (int)Math.Min(part.Length, disk.VirtualSize - at));
                disk.Read(at, bytes);
                content.Add(bytes.ContainsAnyExcept((byte)0) ? Convert.ToHexString(SHA256.HashData(bytes)) : "");
            }
            catch (Qcow2Exception)
            {
                content.Add(null);
            }
        }
    }
}
