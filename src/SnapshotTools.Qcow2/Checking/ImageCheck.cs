using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>Checks the structure of one qcow2 file: that every reference leads to a sound place, and that every cluster is
/// counted as often as it is referred to. Backing files are not opened.</summary>
public static class ImageCheck
{
    /// <summary>Checks an image.</summary>
    /// <exception cref="Qcow2Exception">The header cannot be used, or another process writes to the image.</exception>
    /// <exception cref="IOException">The file cannot be opened or read.</exception>
    public static CheckResult Run(IFileSystem fs, string path, CheckOptions? options = null, IProgress<CheckProgress>? progress = null, CancellationToken cancellation = default)
    {
        options ??= new CheckOptions();
        using IBlockFile file = fs.Open(path, options.FollowLinks ? FileOpenMode.ReadFollowingLinks : FileOpenMode.Read);
        using ImageLock? held = options.Lock ? ImageLock.Acquire(file, ImageUse.Read) : null;
        return Examination.Run(file, options, progress, cancellation).Result;
    }
}
