namespace SnapshotTools.Qcow2;

/// <summary>Checks that a range lies within the guest's disk.</summary>
internal static class GuestRange
{
    public static void Check(IDiskImage image, long offset, long count)
    {
        if (offset < 0 || count < 0 || offset > image.VirtualSize - count)
            throw new ArgumentOutOfRangeException(nameof(offset), $"Bytes {offset} to {offset + count} are not within the {image.VirtualSize} bytes of '{image.Path}'.");
    }
}
