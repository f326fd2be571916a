using System.Buffers.Binary;
using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>Flags of an entry of the bitmap directory (qcow2 specification, "Bitmap directory").</summary>
[Flags]
internal enum BitmapFlags : uint
{
    /// <summary>Not saved properly: the content means nothing.</summary>
    InUse = 1,

    /// <summary>Every writer must note its changes in it.</summary>
    Auto = 2,

    /// <summary>May be used without knowing its extra data.</summary>
    ExtraDataCompatible = 4,
}

/// <summary>
/// Marks bitmaps as not kept up, for a writer that changes the disk and notes nothing in them. They stay in the image, and with them
/// the count of their clusters; QEMU shows them as inconsistent, and removes them on request.
/// </summary>
internal static class BitmapMarks
{
    /// <summary>Where the flags are in an entry.</summary>
    private const int FlagsPlace = 12;

    /// <summary>Marks the bitmaps that should note changes, or all of them when the size of the disk changes. The caller
    /// flushes before it changes the disk.</summary>
    /// <returns>False when the directory cannot be read: then nothing was marked.</returns>
    public static bool TryMarkInUse(IBlockFile file, Qcow2Header header, IReadOnlyList<HeaderExtension> extensions, bool all)
    {
        BitmapDirectory directory;
        try
        {
            directory = BitmapDirectoryReader.Read(file, header, extensions);
        }
        catch (Qcow2Exception)
        {
            return false;
        }
        Span<byte> flags = stackalloc byte[4];
        foreach (PersistentBitmap bitmap in directory.Bitmaps.Where(b => !b.InUse && (all || b.Auto)))
        {
            var value = BitmapFlags.InUse | (bitmap.Auto ? BitmapFlags.Auto : 0) | (bitmap.ExtraDataCompatible ? BitmapFlags.ExtraDataCompatible : 0);
            BinaryPrimitives.WriteUInt32BigEndian(flags, (uint)value);
            file.Write(directory.Offset + bitmap.EntryPlace + FlagsPlace, flags);
        }
        return true;
    }
}
