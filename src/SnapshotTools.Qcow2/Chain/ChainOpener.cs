using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>Opens the backing files of an image, one after another (a chain may be thousands long).</summary>
internal static class ChainOpener
{
    /// <summary>The files below an image, from the top; closed again when one cannot be opened.</summary>
    /// <exception cref="Qcow2Exception">A file is not allowed, missing, in the chain twice, or not a good image.</exception>
    public static List<IDiskImage> Open(IFileSystem fs, Qcow2Image top, ImageOpenOptions options)
    {
        var below = new List<IDiskImage>();
        try
        {
            var seen = new HashSet<string> { top.FileId };
            for (Qcow2Image? layer = top; layer?.BackingFile is { } name;)
            {
                BackingTarget target = BackingName.Resolve(layer, name, options);
                if (below.Count + 1 >= Limits.MaxChainLength)
                    throw new Qcow2Exception(Qcow2ErrorCode.ChainTooLong, top.Path, $"The chain of '{top.Path}' has more than {Limits.MaxChainLength} files.");
                // Asked before it is opened: the lock of an image that is written would refuse it under another name.
                if (fs.Stat(target.Path) is { } there && seen.Contains(there.FileId)) throw Loop(top, layer, target);
                (IDiskImage image, string id) = OpenOne(fs, layer, target, options);
                below.Add(image);
                if (!seen.Add(id)) throw Loop(top, layer, target);
                layer = image as Qcow2Image;
            }
            return below;
        }
        catch
        {
            foreach (IDiskImage image in below) image.Dispose();
            throw;
        }
    }

    private static Qcow2Exception Loop(Qcow2Image top, Qcow2Image layer, BackingTarget target) => new(
        Qcow2ErrorCode.BackingLoop,
        layer.Path,
        $"The chain of '{top.Path}' comes back to '{target.Path}', which '{layer.Path}' names as its backing file.");

    private static (IDiskImage Image, string FileId) OpenOne(IFileSystem fs, Qcow2Image layer, BackingTarget target, ImageOpenOptions options)
    {
        // Links are not followed: the name comes from the file, and only what the caller allowed is opened.
        ImageOpenOptions one = options with { Write = false, FollowLinks = false, Backing = BackingPolicy.None };
        try
        {
            if (target.Format == ImageFormat.Raw)
            {
                var raw = RawImage.Open(fs, target.Path, one);
                return (raw, raw.File.FileId);
            }
            var image = Qcow2Image.Open(fs, target.Path, one);
            return (image, image.FileId);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new Qcow2Exception(Qcow2ErrorCode.BackingMissing, layer.Path, $"The backing file '{Printable.Text(target.Path)}' of '{layer.Path}' does not exist.", e);
        }
    }
}
