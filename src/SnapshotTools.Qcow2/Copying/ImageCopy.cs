using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>
/// Full copies of what a guest sees. Holes and zeroes stay holes; data is shared or copied by the file system where it can, and
/// read and written on several threads elsewhere. What a copy made is durable when it returns; the name of a new file is
/// the caller's to make durable. A copy that fails or is cancelled leaves its target as far as it came.
/// </summary>
public static class ImageCopy
{
    /// <summary>Copies an image into a new raw file.</summary>
    /// <param name="source">The image, with its chain.</param>
    /// <param name="files">Where the new file is made.</param>
    /// <param name="path">The new file. It must not exist, unless a copy is resumed.</param>
    /// <param name="options">How it is copied.</param>
    /// <param name="progress">Told how far it is, on the copying threads.</param>
    /// <param name="cancellation">Ends the copy.</param>
    /// <exception cref="IOException">Reading or writing failed.</exception>
    public static void ToRaw(
        IDiskImage source, IFileSystem files, string path, CopyOptions? options = null, IProgress<CopyProgress>? progress = null, CancellationToken cancellation = default)
    {
        options ??= new CopyOptions();
        CheckResumeOffset(source, options);
        using IBlockFile file = options.ResumeOffset is null ? files.Create(path) : files.Open(path, FileOpenMode.ReadWrite);
        using ImageLock held = ImageLock.Acquire(file, ImageUse.Write);
        if (options is { ResumeOffset: null, DetectZeroes: false } && source is RawImage raw && raw.File.TryClone(file))
        {
            file.SetLength(source.VirtualSize);
            file.Flush();
            return;
        }
        file.SetLength(source.VirtualSize);
        Run(source, CopySource.Data(source, options.Start), new RawTarget(file), options, progress, cancellation);
    }

    /// <summary>Copies an image into a new qcow2 image without a backing file. The target is a valid image at every instant.</summary>
    /// <param name="source">The image, with its chain.</param>
    /// <param name="files">Where the new file is made.</param>
    /// <param name="path">The new file. It must not exist, unless a copy is resumed.</param>
    /// <param name="create">The new image: its disk at least as large as the source's, and no backing file.</param>
    /// <param name="options">How it is copied.</param>
    /// <param name="progress">Told how far it is, on the copying threads.</param>
    /// <param name="cancellation">Ends the copy.</param>
    /// <exception cref="ArgumentException">The new image would be smaller, or has a backing file.</exception>
    /// <exception cref="IOException">Reading or writing failed.</exception>
    public static void ToQcow2(
        IDiskImage source, IFileSystem files, string path, ImageCreateOptions create, CopyOptions? options = null, IProgress<CopyProgress>? progress = null, CancellationToken cancellation = default)
    {
        options ??= new CopyOptions();
        CheckResumeOffset(source, options);
        RequireRoom(source, create.VirtualSize, create.BackingFile, nameof(create));
        using Qcow2Image image = options.ResumeOffset is null
            ? Qcow2Image.Create(files, path, create)
            : Qcow2Image.Open(files, path, create.Open with { Write = true, Backing = BackingPolicy.None });
        if (options is { ResumeOffset: null, DetectZeroes: false } && source is Qcow2Image alone && image.TryBecomeCloneOf(alone))
        {
            long bytes = progress is null ? 0 : CopySource.Data(source, 0).Sum(e => e.Count);
            progress?.Report(new CopyProgress(bytes, bytes, source.VirtualSize));
            return;
        }
        Into(source, image, options, progress, cancellation);
    }

    /// <summary>Copies an image into another that holds nothing yet and has no backing file. The target is a valid image at every instant.</summary>
    /// <param name="source">The image, with its chain.</param>
    /// <param name="target">The target, open for writing: its disk at least as large as the source's.</param>
    /// <param name="options">How it is copied.</param>
    /// <param name="progress">Told how far it is, on the copying threads.</param>
    /// <param name="cancellation">Ends the copy.</param>
    /// <exception cref="ArgumentException">The target is smaller, or has a backing file.</exception>
    /// <exception cref="IOException">Reading or writing failed.</exception>
    public static void Into(
        IDiskImage source, Qcow2Image target, CopyOptions? options = null, IProgress<CopyProgress>? progress = null, CancellationToken cancellation = default)
    {
        options ??= new CopyOptions();
        CheckResumeOffset(source, options);
        RequireRoom(source, target.VirtualSize, target.BackingFile, nameof(target));
        IEnumerable<MapExtent> data = CopySource.InWholeUnits(CopySource.Data(source, options.Start), target.Header.ClusterSize, source.VirtualSize);
        Run(source, data, new Qcow2Target(target), options, progress, cancellation);
    }

    /// <summary>Copies into an overlay all that it shows of its backing files, so that it reads the same without them. What was copied
    /// once is not copied again, so an interrupted copy is simply begun again.</summary>
    /// <param name="overlay">The image, open for writing with its chain. Its guest must not write to it meanwhile.</param>
    /// <param name="options">How it is copied; zeroes are not looked for, and there is nothing to resume.</param>
    /// <param name="progress">Told how far it is, on the copying threads.</param>
    /// <param name="cancellation">Ends the copy.</param>
    /// <exception cref="IOException">Reading or writing failed.</exception>
    public static void FillFromBacking(Qcow2Image overlay, CopyOptions? options = null, IProgress<CopyProgress>? progress = null, CancellationToken cancellation = default)
    {
        options = (options ?? new CopyOptions()) with { DetectZeroes = false, ResumeOffset = null };
        IEnumerable<MapExtent> seen = CopySource.Data(overlay, 0).Where(e => e.Layer > 0);
        IEnumerable<MapExtent> data = CopySource.InWholeUnits(seen, 1 << overlay.UnitBits, overlay.VirtualSize);
        Run(overlay, data, new Qcow2Target(overlay), options, progress, cancellation);
    }

    private static void RequireRoom(IDiskImage source, long targetSize, string? targetBacking, string parameter)
    {
        if (targetBacking is not null) throw new ArgumentException("A full copy has no backing file.", parameter);
        if (targetSize < source.VirtualSize)
            throw new ArgumentException($"A disk of {targetSize} bytes cannot hold a copy of '{source.Path}', which has {source.VirtualSize}.", parameter);
    }

    private static void CheckResumeOffset(IDiskImage source, CopyOptions options)
    {
        if (options.Start < 0 || options.Start > source.VirtualSize)
            throw new ArgumentOutOfRangeException(nameof(options), $"A copy of '{source.Path}' cannot go on at {options.Start}: the disk has {source.VirtualSize} bytes.");
    }

    private static void Run(
        IDiskImage source, IEnumerable<MapExtent> data, ICopyTarget target, CopyOptions options, IProgress<CopyProgress>? progress, CancellationToken cancellation)
    {
        StepTransfer transfer = new(source, target, options.DetectZeroes, options.MaxStepBytes);
        new ParallelSteps(CopySource.Steps(data, transfer), transfer.Do, transfer.BufferBytes, options, target.Flush)
            .Run(progress, progress is null ? 0 : data.Sum(e => e.Count), cancellation);
    }
}
