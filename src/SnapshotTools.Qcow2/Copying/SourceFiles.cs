using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>The files under an image.</summary>
internal static class SourceFiles
{
    /// <summary>The file of a layer of the chain, by the number that a map gives it; null for images of other makes.</summary>
    public static IBlockFile? Of(IDiskImage image, int layer) => image switch
    {
        Qcow2Image qcow2 => qcow2.FileOf(layer),
        RawImage raw when layer == 0 => raw.File,
        _ => null,
    };
}
