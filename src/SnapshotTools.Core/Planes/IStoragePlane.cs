namespace SnapshotTools.Core;

/// <summary>
/// Where volumes and their layers are: makes, freezes, branches, copies, merges, deletes and checks layers. It knows
/// layers and their parents; which of them are needed is the engine's to know. What a call made is durable when it returns.
/// </summary>
public interface IStoragePlane : IDisposable
{
    /// <summary>What this plane can do, and what it costs.</summary>
    StorageCapabilities Capabilities { get; }

    /// <summary>Free bytes for new data.</summary>
    long FreeBytes();

    /// <summary>The file that a new layer will be.</summary>
    LayerFile NewLayerFile(Guid id);

    /// <summary>The location of a new memory file.</summary>
    string NewMemoryLocation(Guid id);

    /// <summary>Absolute path of a location.</summary>
    string PathOf(string location);

    /// <summary>Absolute path by which other programs open a layer.</summary>
    string PathOf(LayerFile layer);

    /// <summary>Keeps every other process from opening these layers for writing until the result is disposed.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.ImageInUse"/>: another process has one of them open for writing.</exception>
    IDisposable Reserve(IReadOnlyList<LayerFile> layers);

    /// <summary>Makes new layers, empty or over a parent, all at once; the parents' content is durable first. When one fails, none is left.</summary>
    void Create(IReadOnlyList<NewLayer> layers);

    /// <summary>Makes what layers hold durable.</summary>
    void MakeDurable(IReadOnlyList<LayerFile> layers);

    /// <summary>Guards a layer's file against accidental writes, or takes the guard away.</summary>
    void SetFrozen(LayerFile layer, bool frozen);

    /// <summary>What a layer occupies now, or null when its file is missing.</summary>
    LayerFacts? Measure(LayerFile layer);

    /// <summary>Deletes files that nothing needs; a missing one is no error.</summary>
    /// <param name="locations">Where they are.</param>
    /// <param name="isDurable">Whether they are gone for good when it returns. Otherwise a power cut may bring them back.</param>
    void Delete(IReadOnlyList<string> locations, bool isDurable = true);

    /// <summary>Makes the stable path of a volume lead to a layer.</summary>
    void Publish(string volume, LayerFile head);

    /// <summary>The stable path of a volume.</summary>
    string PublishedPath(string volume);

    /// <summary>The stable path of a volume as a location that <see cref="Delete"/> takes.</summary>
    string PublishedLocation(string volume);

    /// <summary>Whether a location is that of a stable path, of a volume that there is or not.</summary>
    bool IsPublishedLocation(string location);

    /// <summary>Whether the stable path of a volume leads to this layer.</summary>
    bool IsPublished(string volume, LayerFile head);

    /// <summary>Locations of the links that killed processes left beside stable paths that they were changing. For an instant one that
    /// is in use is among them; its user makes another when it is gone.</summary>
    IReadOnlyList<string> LeftLinks();

    /// <summary>The name by which a layer that lies on this one refers to it.</summary>
    string NameAsBase(LayerFile layer);

    /// <summary>The name of the base that a layer's file refers to now; null when it has none.</summary>
    string? BaseNameOf(LayerFile layer);

    /// <summary>What merging a layer with its only child would copy in each direction.</summary>
    MergeCost EstimateMerge(LayerFile layer, LayerFile child);

    /// <summary>Merges a layer into its only child, which then lies on the layer's parent; the layer's file is left for the caller to delete.
    /// Can be interrupted at any byte and begun again: the child reads the same throughout.</summary>
    void MergeUp(LayerFile layer, LayerFile child, LayerFile? parent, LayerIdentity childIdentity, IProgress<long>? progress, CancellationToken cancellation);

    /// <summary>Merges a child into its layer, whose file then takes the child's place; afterwards the layer's own file is gone.
    /// Can be interrupted at any byte and begun again: the child reads the same throughout.</summary>
    void MergeDown(LayerFile layer, LayerFile child, LayerFile? parent, LayerIdentity childIdentity, IProgress<long>? progress, CancellationToken cancellation);

    /// <summary>Bytes of data, without holes and zeroes, that a layer and its chain show.</summary>
    long DataBytesOf(LayerFile layer);

    /// <summary>Copies what a layer and its chain read as into a file of its own, which lies on nothing. The layer is only read, and
    /// its readers and the writers of layers over it are not disturbed. An interrupted copy goes on from where it was durable.</summary>
    /// <param name="layer">A frozen layer.</param>
    /// <param name="copy">The file, with the identity that it will have in the layer's place; it may be there from an interrupted copy.</param>
    /// <param name="options">Where to go on, and in what steps.</param>
    /// <param name="progress">Is told on the copying threads, which wait for it.</param>
    /// <param name="cancellation">Ends the copy; what is durable stays.</param>
    void CopyLayer(LayerFile layer, NewLayer copy, LayerCopyOptions options, IProgress<LayerCopyProgress>? progress, CancellationToken cancellation);

    /// <summary>Puts a complete copy into a layer's place, in one step: who opens the layer from then on finds the copy, and who has it
    /// open goes on with the file that was there.</summary>
    void PutInPlace(LayerFile copy, LayerFile layer);

    /// <summary>Whether a layer lies on nothing.</summary>
    bool StandsAlone(LayerFile layer);

    /// <summary>Looks at an image outside of the store without reading its data.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.ImageRefused"/>, <see cref="ErrorIds.ImageNotFound"/> or <see cref="ErrorIds.ImageInUse"/>.</exception>
    ImageFacts Inspect(ImageSource source);

    /// <summary>Copies an image outside of the store into a new layer, holes kept.</summary>
    void Import(ImageSource source, NewLayer target, IProgress<long>? progress, CancellationToken cancellation);

    /// <summary>Copies what a layer and its chain read as into a new file outside of the store, which is the caller's to name and to delete.</summary>
    void Export(LayerFile layer, string path, ImageFileFormat format, IProgress<long>? progress, CancellationToken cancellation);

    /// <summary>Makes a head read as an image does, writing only what differs.</summary>
    long Overwrite(LayerFile head, ImageSource source, IProgress<long>? progress, CancellationToken cancellation);

    /// <summary>Changes the virtual size of a head.</summary>
    void Resize(LayerFile head, long size);

    /// <summary>The virtual size that a layer has by itself.</summary>
    long SizeOf(LayerFile layer);

    /// <summary>Whether a layer holds nothing by itself; a missing file does not.</summary>
    bool IsEmpty(LayerFile layer);

    /// <summary>Gives back space in a layer's file that an interrupted write left taken and unused.</summary>
    void Mend(LayerFile layer);

    /// <summary>Whether a layer's file is, by what it says of itself, the one that belongs there, and lies on the right parent.</summary>
    IReadOnlyList<StoreFinding> CheckPlace(LayerFile layer, LayerFile? parent, LayerIdentity identity);

    /// <summary>Checks the tables inside of a layer's file; null when somebody writes it meanwhile, who knows more of them than the file says.</summary>
    IReadOnlyList<StoreFinding>? CheckTables(LayerFile layer, CancellationToken cancellation);

    /// <summary>Locations of the layer files that there are.</summary>
    IReadOnlyList<string> ListLayers();

    /// <summary>Locations of the files of saved memory, and of firmware variables, that there are.</summary>
    IReadOnlyList<string> ListMemory();

    /// <summary>Looks at all layer files of the store, those in quarantine, and those in other directories that a user named. A file that cannot be
    /// read is among them with the reason.</summary>
    IReadOnlyList<FoundLayer> Survey(IReadOnlyList<string> alsoIn);

    /// <summary>The location that each stable path leads to, by the volume's name.</summary>
    IReadOnlyDictionary<string, string> PublishedLinks();

    /// <summary>Takes a file out of the way, into quarantine, where nothing reads it and nothing is lost. Gives its new location.</summary>
    string Quarantine(string location);

    /// <summary>Deletes files in quarantine for good; gives the bytes that they took.</summary>
    long DeleteQuarantined(IReadOnlyList<string> locations);

    /// <summary>Moves a found file to the place of the layer that it is.</summary>
    void PutBack(string location, LayerFile layer);

    /// <summary>What a repair of a layer's own structures would do, or null when there is nothing that it could mend.</summary>
    string? DescribeRepair(LayerFile layer);

    /// <summary>Repairs a layer's own structures; what it reads as does not change.</summary>
    void Repair(LayerFile layer);

    /// <summary>Lets a layer name its parent and itself as the catalog does.</summary>
    void Rename(LayerFile layer, LayerFile? parent, LayerIdentity identity);

    /// <summary>Whether another process has the layer open as QEMU opens images.</summary>
    bool IsHeld(LayerFile layer);
}

/// <summary>What a storage plane can do.</summary>
/// <param name="EmptyLayerBytes">At most so many bytes on disk are needed for a new layer without data, by its virtual size.</param>
public sealed record StorageCapabilities(Func<long, long> EmptyLayerBytes);

/// <summary>How a layer is copied.</summary>
/// <param name="From">All of the disk before this offset is durable in the copy already; 0 begins anew.</param>
/// <param name="CheckpointBytes">The copy is made durable after so many bytes each.</param>
/// <param name="StepBytes">No more is copied at once, so that it can be slowed down and stopped; 0 leaves it to the plane.</param>
public sealed record LayerCopyOptions(long From, long CheckpointBytes, long StepBytes = 0);

/// <summary>How far a copy of a layer is.</summary>
/// <param name="DoneBytes">Bytes copied by this call.</param>
/// <param name="TotalBytes">Bytes that this call has to copy.</param>
/// <param name="DurableTo">All of the disk before this offset is durable in the copy.</param>
public readonly record struct LayerCopyProgress(long DoneBytes, long TotalBytes, long DurableTo);

/// <summary>What a merge of two layers would copy.</summary>
/// <param name="UpBytes">Into the child.</param>
/// <param name="DownBytes">Into the layer.</param>
public sealed record MergeCost(long UpBytes, long DownBytes);

/// <summary>An image outside of the store that the user named.</summary>
/// <param name="Path">Its absolute path.</param>
/// <param name="Format">Its format, which decides: nothing is probed.</param>
/// <param name="AllowedBackingFiles">The files that it may have as its backing chain.</param>
public sealed record ImageSource(string Path, ImageFileFormat Format, IReadOnlyList<string> AllowedBackingFiles);

/// <summary>What an image outside of the store is.</summary>
/// <param name="VirtualSize">Size of the disk in bytes.</param>
/// <param name="DataBytes">At most so many bytes of data would be copied.</param>
/// <param name="BackingFile">The backing file that it names, if any.</param>
public sealed record ImageFacts(long VirtualSize, long DataBytes, string? BackingFile);
