using System.Text;
using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>A qcow2 image, version 2 or 3, with its chain of backing files where the caller allowed it.</summary>
/// <remarks>Many threads may read at once; a change waits for readers and keeps them waiting.</remarks>
public sealed partial class Qcow2Image : IDiskImage, ILayer
{
    private readonly IBlockFile _file;
    private readonly ImageOpenOptions _options;
    private readonly Qcow2Layer _layer;
    private readonly HeaderStore _header;
    private readonly ReaderWriterLockSlim _gate = new(LockRecursionPolicy.NoRecursion);
    private IReadOnlyList<IDiskImage> _below = [];
    private Qcow2Image? _owner;
    private GuestView? _view;
    private BackingMap? _whole;
    private ImageLock? _lock;
    private bool _closed;

    private Qcow2Image(IBlockFile file, Qcow2Header header, IReadOnlyList<HeaderExtension> extensions, ImageOpenOptions options)
    {
        _file = file;
        _options = options;
        // Half of the memory is for the chain; where that is read as one, its map takes the rest of this layer's too.
        bool isReadAsOne = !options.Write && options.Backing == BackingPolicy.Allowed && header.BackingFile is not null;
        _layer = new Qcow2Layer(file, header, isReadAsOne ? options.CacheBytes / 4 : options.CacheBytes / 2);
        _header = new HeaderStore(file, header, extensions);
        CanWrite = options.Write;
    }

    /// <summary>Opens an image.</summary>
    /// <exception cref="Qcow2Exception">It is not an image that this library takes, or its chain cannot be opened.</exception>
    /// <exception cref="IOException">The file cannot be opened or read.</exception>
    public static Qcow2Image Open(IFileSystem fs, string path, ImageOpenOptions options)
    {
        IBlockFile file = fs.Open(path, (options.Write, options.FollowLinks) switch
        {
            (false, false) => FileOpenMode.Read,
            (true, false) => FileOpenMode.ReadWrite,
            (false, true) => FileOpenMode.ReadFollowingLinks,
            (true, true) => FileOpenMode.ReadWriteFollowingLinks,
        });
        return OpenWith(fs, file, options);
    }

    private static Qcow2Image OpenWith(IFileSystem fs, IBlockFile file, ImageOpenOptions options)
    {
        ImageLock? held = null;
        try
        {
            if (options.Lock) held = ImageLock.Acquire(file, options.Write ? ImageUse.Write : ImageUse.Read);
            (Qcow2Header header, IReadOnlyList<HeaderExtension> extensions) = HeaderParser.Parse(file);
            if (options.Write) RequireWritable(file, header);
            var image = new Qcow2Image(file, header, extensions, options) { _lock = held };
            if (options.Backing == BackingPolicy.Allowed) image.Adopt(ChainOpener.Open(fs, image, options));
            return image;
        }
        catch
        {
            held?.Dispose();
            file.Dispose();
            throw;
        }
    }

    private static void RequireWritable(IBlockFile file, Qcow2Header header)
    {
        if ((header.IncompatibleFeatures & IncompatibleFeatures.Corrupt) != 0)
            throw new Qcow2Exception(Qcow2ErrorCode.Corrupt, file.Path, $"'{file.Path}' is marked as corrupt and must be repaired before it is written.");
        if ((header.IncompatibleFeatures & IncompatibleFeatures.Dirty) != 0)
            throw new Qcow2Exception(Qcow2ErrorCode.Dirty, file.Path, $"'{file.Path}' was not closed properly and must be repaired before it is written: its reference counts may be wrong.");
    }

    /// <summary>Takes the files below as its own; each of them sees those below itself.</summary>
    private void Adopt(List<IDiskImage> below)
    {
        IDiskImage[] all = [.. below];
        _below = all;
        for (int i = 0; i < all.Length; i++)
        {
            if (all[i] is not Qcow2Image image) continue;
            image._owner = this;
            image._below = new ArraySegment<IDiskImage>(all, i + 1, all.Length - i - 1);
        }
    }

    /// <inheritdoc cref="IDiskImage.Path"/>
    public string Path => _file.Path;

    /// <inheritdoc cref="IDiskImage.VirtualSize"/>
    public long VirtualSize => Header.VirtualSize;

    /// <inheritdoc/>
    public bool CanWrite { get; }

    /// <summary>The header as it is now.</summary>
    public Qcow2Header Header => _header.Header;

    /// <summary>The header extensions in their order, byte for byte.</summary>
    public IReadOnlyList<HeaderExtension> Extensions => _header.Extensions;

    /// <summary>The name of the backing file as recorded, or null.</summary>
    public string? BackingFile => Header.BackingFile;

    /// <summary>The recorded format of the backing file; null when it is not recorded.</summary>
    /// <exception cref="Qcow2Exception">It is a format other than raw and qcow2.</exception>
    public ImageFormat? BackingFormat
    {
        get
        {
            HeaderExtension? extension = Extensions.FirstOrDefault(e => e.Type == HeaderExtension.BackingFormat);
            if (extension is null || BackingFile is null) return null;
            string name = Encoding.Latin1.GetString(extension.Data.Span);
            return name switch
            {
                "raw" => ImageFormat.Raw,
                "qcow2" => ImageFormat.Qcow2,
                _ => throw new Qcow2Exception(Qcow2ErrorCode.UnsupportedFeature, Path, $"The backing file of '{Path}' has the format '{Printable.Text(name)}'; raw and qcow2 are supported."),
            };
        }
    }

    /// <summary>The image that shows through where this layer holds nothing; null without one, or when it was not opened.
    /// It is closed with this one.</summary>
    public IDiskImage? Backing => _below.Count > 0 ? _below[0] : null;

    /// <summary>Equal for two images of one file.</summary>
    internal string FileId => _file.FileId;

    /// <summary>Makes what was changed since it was opened or created durable, unless a failure forbids it, and closes the image with its backing files.
    /// A backing file is closed by the image over it only.</summary>
    /// <exception cref="IOException">The changes cannot be made durable; the files are closed nevertheless.</exception>
    public void Dispose()
    {
        if (_owner is not null || _closed) return;
        _closed = true;
        try
        {
            if (_unflushed && _tables is { Failed: false }) Flush();
        }
        finally
        {
            CloseBelow();
            Close();
        }
    }

    private void CloseBelow()
    {
        foreach (IDiskImage image in _below)
        {
            if (image is Qcow2Image layer) layer.Close();
            else image.Dispose();
        }
        _below = [];
        _view = null;
        _whole = null;
    }

    private void Close()
    {
        // Given back before the file is closed: a child that another thread is just starting has a copy of the descriptor for a moment.
        _lock?.Dispose();
        _file.Dispose();
        _gate.Dispose();
    }
}
