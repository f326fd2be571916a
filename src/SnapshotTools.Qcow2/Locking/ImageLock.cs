using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>What an image is opened for; decides which of QEMU's image locks it takes.</summary>
public enum ImageUse
{
    /// <summary>Reading. Others may read; nobody may write or resize.</summary>
    Read,

    /// <summary>Reading, writing and resizing. Others may neither write nor resize, nor read what must not change under them.</summary>
    Write,
}

/// <summary>
/// QEMU's image locks: what an open image does, and what it lets nobody else do, is written down as shared locks on single
/// bytes of the file, which belong to the open file and end with it. The protocol is that of QEMU's file driver
/// (block/file-posix.c), with the permissions that its qcow2 driver asks for.
/// </summary>
/// <remarks>The bytes are locked first and looked at afterwards, so of two that come at once at most one gets the image; it
/// may be that neither does. QEMU with <c>-U</c> (force-share) excludes nobody and is excluded by nobody here.</remarks>
public sealed class ImageLock : IDisposable
{
    // Byte 100 + p is locked by whoever does p, byte 200 + p by whoever lets nobody else do p.
    private const int DoesBase = 100;
    private const int DeniesBase = 200;

    // The numbers of QEMU's permissions (BLK_PERM_…).
    private const int ConsistentRead = 0;
    private const int Write = 1;
    private const int Resize = 3;

    // Whoever opens an image needs its metadata to stay as it is, so writing and resizing are denied to all others.
    private static readonly int[] Denied = [Write, Resize];

    private readonly IBlockFile _file;

    private ImageLock(IBlockFile file, ImageUse use) => (_file, Use) = (file, use);

    /// <summary>What the image is locked for.</summary>
    public ImageUse Use { get; private set; }

    /// <summary>Locks an open image.</summary>
    /// <param name="file">The image's file. Closing it gives the lock back too.</param>
    /// <param name="use">What it is opened for.</param>
    /// <exception cref="Qcow2Exception"><see cref="Qcow2ErrorCode.InUse"/>: another process, or another open file of this
    /// one, excludes this use.</exception>
    public static ImageLock Acquire(IBlockFile file, ImageUse use)
    {
        Take(file, Positions(use), use);
        return new ImageLock(file, use);
    }

    /// <summary>Whether nobody excludes a use of the image at this moment. Takes nothing.</summary>
    public static bool IsFree(IBlockFile file, ImageUse use) =>
        !Done(use).Any(p => file.IsLockedByOther(DeniesBase + p, 1, LockKind.Exclusive))
        && !Denied.Any(p => file.IsLockedByOther(DoesBase + p, 1, LockKind.Exclusive));

    /// <summary>Raises the lock to one for writing, or lowers it to one for reading, without letting go in between.</summary>
    /// <exception cref="Qcow2Exception"><see cref="Qcow2ErrorCode.InUse"/>: it cannot be raised; the lock is as before.</exception>
    public void ChangeTo(ImageUse use)
    {
        int[] before = Positions(Use), after = Positions(use);
        int[] more = [.. after.Except(before)];
        if (more.Length > 0) Take(_file, more, use);
        foreach (int position in before.Except(after)) _file.Unlock(position, 1);
        Use = use;
    }

    /// <summary>Gives the lock back; the file must still be open.</summary>
    public void Dispose()
    {
        foreach (int position in Positions(Use)) _file.Unlock(position, 1);
    }

    private static int[] Done(ImageUse use) => use == ImageUse.Write ? [ConsistentRead, Write, Resize] : [ConsistentRead];

    private static int[] Positions(ImageUse use) => [.. Done(use).Select(p => DoesBase + p), .. Denied.Select(p => DeniesBase + p)];

    private static void Take(IBlockFile file, int[] positions, ImageUse use)
    {
        int taken = 0;
        try
        {
            for (; taken < positions.Length; taken++)
                if (!file.TryLock(positions[taken], 1, LockKind.Shared)) throw InUse(file, use);
            if (!IsFree(file, use)) throw InUse(file, use);
        }
        catch
        {
            foreach (int position in positions.AsSpan(0, taken)) file.Unlock(position, 1);
            throw;
        }
    }

    private static Qcow2Exception InUse(IBlockFile file, ImageUse use) => new(
        Qcow2ErrorCode.InUse,
        file.Path,
        $"'{file.Path}' cannot be opened for {(use == ImageUse.Write ? "writing" : "reading")}: it is in use by {LockHolders.Describe(file)}. Stop that first, or wait until it has closed the image.");
}
