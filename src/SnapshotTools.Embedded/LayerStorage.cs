using SnapshotTools.Core;
using SnapshotTools.IO;
using SnapshotTools.Qcow2;

namespace SnapshotTools.Embedded;

/// <summary>The embedded storage plane: every layer is a qcow2 file in the store, every stable path a link to one.</summary>
internal sealed partial class LayerStorage(IFileSystem files, StoreLayout layout) : IStoragePlane
{
    // Header, one refcount table and block, and the L1 table, in clusters of 64 KiB, with the directory's and the inode's share.
    private const long EmptyLayerFixedBytes = 320 << 10;
    private const long GuestBytesPerL1Byte = (512L << 20) / 8;

    public StorageCapabilities Capabilities { get; } = new(size => EmptyLayerFixedBytes + size / GuestBytesPerL1Byte);

    public long FreeBytes() => files.FreeBytes(layout.Directory);

    public LayerFile NewLayerFile(Guid id) => new(id, StoreLayout.LocationOf(id), LayerFormat.Qcow2, External: false);

    public string NewMemoryLocation(Guid id) => StoreLayout.MemoryLocationOf(id);

    public string PathOf(string location) => layout.PathOf(location);

    public string PathOf(LayerFile layer) => layout.PathOf(layer.Location);

    public IDisposable Reserve(IReadOnlyList<LayerFile> layers)
    {
        var held = new Reservation();
        try
        {
            foreach (var layer in layers) held.Add(files, PathOf(layer), layer.External ? ImageUse.Read : ImageUse.Write);
            return held;
        }
        catch (Qcow2Exception error)
        {
            held.Dispose();
            throw ImageErrors.Translate(error);
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    public void SetFrozen(LayerFile layer, bool frozen)
    {
        if (!layer.External) files.SetFrozen(PathOf(layer), frozen);
    }

    public LayerFacts? Measure(LayerFile layer) =>
        files.Stat(PathOf(layer)) is { Kind: FileKind.Regular } stat ? new LayerFacts(stat.AllocatedBytes, stat.Length, stat.ModifiedAt) : null;

    public void Delete(IReadOnlyList<string> locations, bool isDurable = true)
    {
        foreach (string location in locations)
        {
            string path = layout.PathOf(location);
            try
            {
                if (files.Stat(path) is not null) files.Delete(path);
            }
            catch (FileNotFoundException)
            {
                // Another process was at the same, which is what was wanted.
            }
        }
        if (!isDurable) return;
        // The catalog forgets these files next, and must not be ahead of the disk. A folder outside of the store may be gone with what was in it.
        foreach (string folder in locations.Select(l => Path.GetDirectoryName(layout.PathOf(l))!).Distinct().Where(f => files.Stat(f) is not null)) files.SyncDirectory(folder);
    }

    public void MakeDurable(IReadOnlyList<LayerFile> layers)
    {
        foreach (var layer in layers)
        {
            using var file = OpenToFlush(layer);
            file.Flush();
        }
    }

    public IReadOnlyList<string> LeftLinks() =>
        [.. files.List(layout.Volumes).Where(e => e.Kind == FileKind.Link && TemporaryLink.IsOne(e.Path)).Select(e => RelativeTo(e.Path)).Order(StringComparer.Ordinal)];

    public void Publish(string volume, LayerFile head) => files.ReplaceLink(layout.LinkOf(volume), StoreLayout.ReferenceTo(head));

    public string PublishedPath(string volume) => layout.LinkOf(volume);

    public string PublishedLocation(string volume) => StoreLayout.LinkLocationOf(volume);

    public bool IsPublishedLocation(string location) => StoreLayout.IsLinkLocation(location);

    public bool IsPublished(string volume, LayerFile head) => files.ReadLink(layout.LinkOf(volume)) == StoreLayout.ReferenceTo(head);

    public void Resize(LayerFile head, long size)
    {
        using var image = OpenLayer(head, write: true);
        image.Resize(size);
        image.Flush();
    }

    public long SizeOf(LayerFile layer)
    {
        using var image = OpenAlone(layer, write: false);
        return image.VirtualSize;
    }

    public bool IsEmpty(LayerFile layer)
    {
        if (files.Stat(PathOf(layer)) is null) return true;
        try
        {
            using var image = Qcow2Image.Open(files, PathOf(layer), new ImageOpenOptions { Lock = false });
            return image.GetUsage() is { DataBytes: 0, ZeroBytes: 0, CompressedBytes: 0 };
        }
        catch (Qcow2Exception)
        {
            return true;   // its making was cut short, so nobody ever used it
        }
    }

    public void Mend(LayerFile layer)
    {
        var options = new CheckOptions { Lock = false };
        var plan = ImageRepair.Plan(files, PathOf(layer), RepairScope.Leaks, options);
        if (plan.Steps.Count > 0) ImageRepair.Execute(files, plan, options);
    }

    public IReadOnlyList<string> ListLayers() => ListFolder(layout.Layers);

    public IReadOnlyList<string> ListMemory() => ListFolder(layout.Memory);

    public void Dispose()
    {
        // Nothing stays open between calls.
    }

    private string[] ListFolder(string folder) => files.Stat(folder) is null ? [] : [.. files.List(folder).Select(f => RelativeTo(f.Path))];

    private IBlockFile OpenToFlush(LayerFile layer) => files.Open(PathOf(layer), layer.External ? FileOpenMode.ReadFollowingLinks : FileOpenMode.Read);

    /// <summary>Opens a layer with its chain. Its image lock is not taken here: whoever writes has reserved the layer.</summary>
    private Qcow2Image OpenLayer(LayerFile layer, bool write = false)
    {
        try
        {
            return Qcow2Image.Open(files, PathOf(layer), new ImageOpenOptions { Write = write, Lock = false, Backing = BackingPolicy.Allowed, ResolveBacking = ResolveBacking });
        }
        catch (Qcow2Exception error)
        {
            throw ImageErrors.Translate(error);
        }
    }

    /// <summary>A layer of the store may name another layer or its adopted base; an image from outside names nothing.</summary>
    private BackingTarget? ResolveBacking(string layerPath, string backingFile, ImageFormat? format)
    {
        if (format is null || Path.GetDirectoryName(layerPath) != layout.Layers) return null;
        string path = Path.GetFullPath(Path.Combine(layout.Layers, backingFile));
        bool isLayer = Path.GetDirectoryName(path) == layout.Layers;
        return isLayer || Path.IsPathRooted(backingFile) ? new BackingTarget(path, format.Value) : null;
    }

    private static ImageFormat FormatOf(LayerFile layer) => layer.Format == LayerFormat.Raw ? ImageFormat.Raw : ImageFormat.Qcow2;
}
