using SnapshotTools.Core;
using SnapshotTools.IO;
using SnapshotTools.Qcow2;

namespace SnapshotTools.Embedded;

/// <summary>Images that come into the store and go out of it.</summary>
internal sealed partial class LayerStorage
{
    public ImageFacts Inspect(ImageSource source) => FromUser(source, () =>
    {
        using var image = OpenSource(source);
        string? backing = (image as Qcow2Image)?.BackingFile;
        long data = image.Map(0, image.VirtualSize).Where(e => e.Kind is ExtentKind.Data or ExtentKind.Compressed).Sum(e => e.Count);
        return new ImageFacts(image.VirtualSize, data, backing);
    });

    public void Import(ImageSource source, NewLayer target, IProgress<long>? progress, CancellationToken cancellation)
    {
        try
        {
            FromUser(source, () =>
            {
                using var image = OpenSource(source);
                // A raw file's zeroes may be written out; a qcow2 image says itself what is zero.
                ImageCopy.ToQcow2(image, files, PathOf(target.File), CreateOptionsOf(target), new CopyOptions { DetectZeroes = image is RawImage }, ByteProgress.To(progress), cancellation);
                return true;
            });
            files.SyncDirectory(layout.Layers);
        }
        catch
        {
            Delete([target.File.Location]);
            throw;
        }
    }

    public void Export(LayerFile layer, string path, ImageFileFormat format, IProgress<long>? progress, CancellationToken cancellation)
    {
        using var image = OpenLayer(layer);
        if (format == ImageFileFormat.Raw) ImageCopy.ToRaw(image, files, path, progress: ByteProgress.To(progress), cancellation: cancellation);
        else ImageCopy.ToQcow2(image, files, path, new ImageCreateOptions { VirtualSize = image.VirtualSize }, progress: ByteProgress.To(progress), cancellation: cancellation);
    }

    public long Overwrite(LayerFile head, ImageSource source, IProgress<long>? progress, CancellationToken cancellation) => FromUser(source, () =>
    {
        using var image = OpenSource(source);
        using var layer = OpenLayer(head, write: true);
        return WriteDifferences(image, layer, progress, cancellation);
    });

    private static long WriteDifferences(IDiskImage image, Qcow2Image layer, IProgress<long>? progress, CancellationToken cancellation)
    {
        long written = 0;
        var differences = ImageCompare.Differences(image, layer).ToList();
        foreach (var (offset, count) in differences)
        {
            cancellation.ThrowIfCancellationRequested();
            byte[] data = new byte[count];
            image.Read(offset, data);
            layer.Write(offset, data);
            progress?.Report(written += count);
        }
        layer.Flush();
        return written;
    }

    private IDiskImage OpenSource(ImageSource source)
    {
        var format = source.Format == ImageFileFormat.Raw ? ImageFormat.Raw : ImageFormat.Qcow2;
        return IDiskImage.Open(files, source.Path, format, new ImageOpenOptions
        {
            FollowLinks = true,
            Backing = source.AllowedBackingFiles.Count > 0 ? BackingPolicy.Allowed : BackingPolicy.None,
            AllowedBacking = source.AllowedBackingFiles,
        });
    }

    /// <summary>What is wrong with an image that the user named is the user's to know in other words than what is wrong with a layer.</summary>
    private static T FromUser<T>(ImageSource source, Func<T> work)
    {
        try
        {
            return work();
        }
        catch (Qcow2Exception error)
        {
            throw ImageErrors.TranslateSource(error);
        }
        catch (NotARegularFileException error)
        {
            throw new SnapshotException(ErrorIds.ImageRefused, ErrorKind.InvalidInput, error.Message, source.Path, cause: error);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new SnapshotException(ErrorIds.ImageNotFound, ErrorKind.NotFound, $"There is no image '{source.Path}'.", source.Path, cause: error);
        }
    }
}
