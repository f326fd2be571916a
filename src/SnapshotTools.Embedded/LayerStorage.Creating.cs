using SnapshotTools.Core;
using SnapshotTools.Qcow2;

namespace SnapshotTools.Embedded;

/// <summary>New layers, durable when they are made.</summary>
internal sealed partial class LayerStorage
{
    // Making the files is work for the processors, and then several can wait for the disk at once. At best, files and 32 flushes of 16 disks took
    // one thread 1.5 ms, two 1.4, four 1.2 and eight 1.1; with one disk a second thread made it longer.
    private const int LayersPerThread = 3, MostThreads = 4;
    private const int MostOpenFiles = 64;

    public void Create(IReadOnlyList<NewLayer> layers)
    {
        try
        {
            if (layers.Count == 0) return;
            foreach (var some in layers.Chunk(MostOpenFiles)) CreateSome(some);
            files.SyncDirectory(layout.Layers);
        }
        catch (Exception error)
        {
            Delete([.. layers.Select(l => l.File.Location)]);
            if (error is Qcow2Exception image) throw ImageErrors.Translate(image);
            throw;
        }
    }

    /// <summary>All files are written before one is waited for, so that one commit of the file system's journal does for most of them.</summary>
    private void CreateSome(NewLayer[] layers)
    {
        var images = new Qcow2Image?[layers.Length];
        // What a parent holds may still be in the page cache; a snapshot must not lose it to a power cut.
        LayerFile[] parents = [.. layers.Where(l => !l.IsParentDurable).Select(l => l.Parent).OfType<LayerFile>().Distinct()];
        try
        {
            Crew.Do(1 + Math.Min((layers.Length - 1) / LayersPerThread, MostThreads - 1), new(images.Length, Make), new(parents.Length + images.Length, Flush));
        }
        finally
        {
            foreach (var image in images) image?.Dispose();
        }

        void Make(int i)
        {
            images[i] = Qcow2Image.Create(files, PathOf(layers[i].File), CreateOptionsOf(layers[i]));
            images[i]!.BeginFlush();
        }

        void Flush(int i)
        {
            if (i < parents.Length) MakeDurable([parents[i]]);
            else images[i - parents.Length]!.Flush();
        }
    }

    private static ImageCreateOptions CreateOptionsOf(NewLayer layer) => new()
    {
        VirtualSize = layer.Size,
        ClusterSize = layer.ClusterSize,
        BackingFile = layer.Parent is null ? null : StoreLayout.ReferenceTo(layer.Parent),
        BackingFormat = layer.Parent is null ? null : FormatOf(layer.Parent),
        Extensions = [IdentityExtension.Write(layer.Identity)],
        Open = new ImageOpenOptions { Lock = false },
    };
}
