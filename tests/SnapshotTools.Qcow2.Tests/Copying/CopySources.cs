using SnapshotTools.IO;
using SnapshotTools.Qcow2.Tests.Matrix;

namespace SnapshotTools.Qcow2.Tests.Copying;

/// <summary>The images that copies, merges and comparisons are tried on.</summary>
public static class CopySources
{
    public static readonly IFileSystem Files = SystemFiles.Instance;

    /// <summary>Recipes that differ in what matters to a copy: kinds of extents, sizes of clusters, chains, tails.</summary>
    public static IEnumerable<object[]> Names() =>
        ImageMatrix.Recipes.Where(r => r.Layers.Length > 1
            || r.Name is "v3 cluster 512" or "v3 cluster 65536" or "v2 cluster 4096" or "v3 zlib cluster 65536" or "v3 extended L2 cluster 65536 plain"
            || r.Name is "v3 size 512" or "v3 size 1000448" or "v3 many L2 tables" or "v3 empty")
        .Select(r => new object[] { r.Name });

    /// <summary>Options that allow the chain in a folder.</summary>
    public static ImageOpenOptions Within(string folder, bool write = false) =>
        new() { Backing = BackingPolicy.Allowed, AllowedBacking = [folder], DefaultBackingFormat = ImageFormat.Raw, Write = write };

    /// <summary>Opens an image of a folder by its extension.</summary>
    public static IDiskImage Open(string path)
    {
        ImageOpenOptions options = Within(Path.GetDirectoryName(path)!);
        return path.EndsWith(".raw", StringComparison.Ordinal) ? RawImage.Open(Files, path, options) : Qcow2Image.Open(Files, path, options);
    }
}
