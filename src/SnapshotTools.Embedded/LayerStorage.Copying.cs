using SnapshotTools.Core;
using SnapshotTools.IO;
using SnapshotTools.Qcow2;

namespace SnapshotTools.Embedded;

/// <summary>
/// Copying a layer with all below it into a file of its own, which then takes the layer's place. Until that one rename nobody
/// but the copier opens the file, so that the copy needs no lock on anything that a guest uses.
/// </summary>
internal sealed partial class LayerStorage
{
    public long DataBytesOf(LayerFile layer)
    {
        using var image = OpenLayer(layer);
        return image.Map(0, image.VirtualSize).Where(e => e.Kind is ExtentKind.Data or ExtentKind.Compressed).Sum(e => e.Count);
    }

    public void CopyLayer(LayerFile layer, NewLayer copy, LayerCopyOptions options, IProgress<LayerCopyProgress>? progress, CancellationToken cancellation)
    {
        string path = PathOf(copy.File);
        try
        {
            using var image = OpenLayer(layer);
            var how = new CopyOptions
            {
                ResumeOffset = options.From > 0 && CanGoOn(copy.File, image.VirtualSize) ? Math.Min(options.From, image.VirtualSize) : null,
                CheckpointBytes = options.CheckpointBytes,
                MaxStepBytes = options.StepBytes,
            };
            if (how.ResumeOffset is null) Delete([copy.File.Location]);
            ImageCopy.ToQcow2(image, files, path, CreateOptionsOf(copy), how, progress is null ? null : new Relay(progress), cancellation);
            files.SyncDirectory(layout.Layers);
        }
        catch (Qcow2Exception error)
        {
            throw ImageErrors.Translate(error);
        }
    }

    public void PutInPlace(LayerFile copy, LayerFile layer)
    {
        files.Rename(PathOf(copy), PathOf(layer));
        files.SyncDirectory(layout.Layers);
    }

    public bool StandsAlone(LayerFile layer)
    {
        using var image = OpenAlone(layer, write: false);
        return image.BackingFile is null;
    }

    /// <summary>What a killed process left of a copy: clusters that were taken and not used yet are given back first.</summary>
    private bool CanGoOn(LayerFile copy, long size)
    {
        if (files.Stat(PathOf(copy)) is null) return false;
        try
        {
            Mend(copy);
            using var image = OpenAlone(copy, write: false);
            return image.VirtualSize == size && image.BackingFile is null;
        }
        catch (Exception error) when (error is Qcow2Exception or SnapshotException)
        {
            return false;   // its beginning never became durable
        }
    }

    private sealed class Relay(IProgress<LayerCopyProgress> target) : IProgress<CopyProgress>
    {
        public void Report(CopyProgress value) => target.Report(new LayerCopyProgress(value.DoneBytes, value.TotalBytes, value.ResumeOffset));
    }
}
