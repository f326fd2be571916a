using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <content>Creating and changing.</content>
public sealed partial class Qcow2Image
{
    private WritableTables? _tables;
    private bool _unflushed;

    /// <summary>Creates an image; the file must not exist. Nothing is flushed: the caller flushes when it must be durable.</summary>
    /// <exception cref="ArgumentException">The options contradict each other or the format.</exception>
    /// <exception cref="Qcow2Exception">The image would be beyond a limit of the format.</exception>
    public static Qcow2Image Create(IFileSystem fs, string path, ImageCreateOptions options)
    {
        ImageCreator.Check(options, path);
        IBlockFile file = fs.Create(path);
        ImageLock? held = null;
        try
        {
            if (options.Open.Lock) held = ImageLock.Acquire(file, ImageUse.Write);
            (Qcow2Header header, IReadOnlyList<HeaderExtension> extensions) = ImageCreator.Create(file, options);
            var image = new Qcow2Image(file, header, extensions, options.Open with { Write = true }) { _unflushed = true, _lock = held };
            if (options.Open.Backing == BackingPolicy.Allowed) image.Adopt(ChainOpener.Open(fs, image, options.Open));
            return image;
        }
        catch
        {
            held?.Dispose();
            file.Dispose();
            fs.Delete(path);
            throw;
        }
    }

    /// <summary>Lays out a new image in an empty file, which stays the caller's to flush and close.</summary>
    /// <exception cref="ArgumentException">The options contradict each other or the format.</exception>
    /// <exception cref="Qcow2Exception">The image would be beyond a limit of the format.</exception>
    public static void Format(IBlockFile file, ImageCreateOptions options) => ImageCreator.Create(file, options);

    /// <summary>Writes to the guest's disk. Durable after <see cref="Flush"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not within the disk.</exception>
    /// <exception cref="DiskFullException">There is no space; what was written before is unharmed.</exception>
    public void Write(long offset, ReadOnlySpan<byte> data)
    {
        _gate.EnterWriteLock();
        try
        {
            GuestRange.Check(this, offset, data.Length);
            DataWriterFor(BeginChange()).Write(offset, data);
        }
        finally
        {
            _gate.ExitWriteLock();
        }
    }

    /// <summary>Makes a range read as zeroes, giving whole clusters back. Where the tables cannot say it (parts of clusters, and version 2
    /// over a backing file) zeroes are written.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not within the disk.</exception>
    public void WriteZeroes(long offset, long count) => Change(() =>
    {
        GuestRange.Check(this, offset, count);
        ZeroWriterFor(BeginChange()).WriteZeroes(offset, count);
    });

    /// <summary>Gives back the whole clusters (with extended L2 entries, subclusters) of a range, which then read as zeroes; the backing file
    /// never shows through. In an image of version 2 over a backing file, which cannot record that, clusters stay as they are.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not within the disk.</exception>
    public void Discard(long offset, long count) => Change(() =>
    {
        GuestRange.Check(this, offset, count);
        ZeroWriterFor(BeginChange()).Discard(offset, count);
    });

    /// <summary>Changes the size of the guest's disk, durably; new space reads as zeroes whatever the backing file holds there.</summary>
    /// <exception cref="ArgumentException">The size is negative or not a multiple of 512.</exception>
    /// <exception cref="Qcow2Exception">It is beyond a limit of the format.</exception>
    public void Resize(long newSize) => Change(() =>
    {
        if (newSize < 0 || newSize % Limits.Sector != 0) throw new ArgumentException($"The size {newSize} is not a multiple of 512.", nameof(newSize));
        WritableTables tables = BeginChange();
        new ImageResizer(tables, ZeroWriterFor(tables), _file).Resize(newSize);
    });

    /// <summary>Makes all earlier changes durable. After a failure other than a full disk nothing is assumed written, and every later
    /// use of this object fails.</summary>
    public void Flush() => Change(FlushChanges);

    /// <summary>Records another backing file, or none, atomically and durably; what is seen through it is the caller's concern. The present
    /// backing files are closed: open the image again to read through the new ones.</summary>
    /// <exception cref="ArgumentException">A file is named without a format, or by a name that QEMU would not take as a file's.</exception>
    /// <exception cref="Qcow2Exception">The header cluster has no room.</exception>
    public void SetBacking(string? file, ImageFormat? format) => Change(() =>
    {
        if (file is not null) BackingName.Check(file);
        if (file is not null && format is null) throw new ArgumentException("The format of the backing file must be given.", nameof(format));
        WritableTables tables = BeginChange();
        FlushChanges();
        List<HeaderExtension> extensions = [.. Extensions.Where(e => e.Type != HeaderExtension.BackingFormat)];
        if (file is not null) extensions.Insert(0, HeaderStore.FormatExtension(format!.Value));
        tables.Sealed(_header.Replacement(extensions, file));
        CloseBelow();
    });

    /// <summary>Replaces or adds a header extension, atomically and durably.</summary>
    /// <exception cref="Qcow2Exception">The header cluster has no room.</exception>
    public void SetExtension(uint type, ReadOnlySpan<byte> data)
    {
        if (type is HeaderExtension.End or HeaderExtension.Gap or HeaderExtension.BackingFormat)
            throw new ArgumentException($"The extension type 0x{type:x8} has another use.", nameof(type));
        var extension = new HeaderExtension(type, data.ToArray());
        Change(() =>
        {
            WritableTables tables = BeginChange();
            FlushChanges();
            List<HeaderExtension> extensions = [.. Extensions];
            int at = extensions.FindIndex(e => e.Type == type);
            if (at < 0) extensions.Add(extension);
            else extensions[at] = extension;
            tables.Sealed(_header.Replacement(extensions, BackingFile));
        });
    }

    private void Change(Action action)
    {
        _gate.EnterWriteLock();
        try
        {
            action();
        }
        finally
        {
            _gate.ExitWriteLock();
        }
    }

    private WritableTables BeginChange()
    {
        if (!CanWrite) throw new Qcow2Exception(Qcow2ErrorCode.ReadOnly, Path, $"'{Path}' was opened for reading only.");
        if (_tables is null)
        {
            RequireWhole();
            _tables = new WritableTables(_file, _header, _layer, _options.CacheBytes / 2);
        }
        _tables.Prepare();
        _unflushed = true;
        return _tables;
    }

    /// <summary>Refuses a file whose end was cut off: new data would be put there, and what is missing would read as zeroes from then on.</summary>
    private void RequireWhole()
    {
        long length = _file.Length, missing = _layer.Geometry.ClusterOf(length + _layer.Geometry.ClusterSize - 1);
        // Only counts for clusters past the end, which a crash may leave too, make it worth a look at all tables.
        if (!new RefcountStore(_file, Header, _layer.Geometry).HasCountsFrom(missing)) return;
        for (long at = 0; at < VirtualSize;)
        {
            Run run = _layer.Next(at, Math.Min(VirtualSize - at, MapStep));
            bool isCut = (run.Kind == ExtentKind.Compressed && run.Host >= length) || (run.Kind == ExtentKind.Data && _layer.Geometry.ClusterOf(run.Host + run.Count - 1) >= missing);
            if (isCut)
                throw new Qcow2Exception(Qcow2ErrorCode.Truncated, Path, $"'{Path}' was cut short: it ends at {length}, before data of the disk at {Math.Max(run.Host, length)}. It is not written to. Put the whole file back.");
            at += run.Count;
        }
    }

    private void FlushChanges()
    {
        _tables?.RequireSound();
        if (!_unflushed) return;
        if (_tables is null) _file.Flush();
        else _tables.Barrier();
        _unflushed = false;
    }

    private DataWriter DataWriterFor(WritableTables tables) => new(tables, View, _file);

    private ZeroWriter ZeroWriterFor(WritableTables tables) => new(tables, View, DataWriterFor(tables), Header.Version);
}
