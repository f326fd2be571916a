using System.Buffers.Binary;
using System.Text;
using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>The header of an open image and its changes, each one atomic (see <see cref="HeaderLayout"/>) and durable when it returns.</summary>
internal sealed class HeaderStore(IBlockFile file, Qcow2Header header, IReadOnlyList<HeaderExtension> extensions)
{
    public Qcow2Header Header { get; private set; } = header;

    public IReadOnlyList<HeaderExtension> Extensions { get; private set; } = extensions;

    /// <summary>Changes fields, all of which are in the first sector. What was written before is made durable first,
    /// because the fields may lead to it.</summary>
    public void Update(Qcow2Header changed)
    {
        byte[] sector = new byte[Limits.Sector];
        file.Read(0, sector);
        // A header of a later version that is longer than a sector ends with fields that do not change here.
        byte[] fields = new byte[Math.Max(Limits.Sector, changed.HeaderLength)];
        sector.CopyTo(fields, 0);
        HeaderLayout.WriteFields(fields, changed);
        file.Flush();
        file.Write(0, fields.AsSpan(0, Limits.Sector));
        file.Flush();
        Header = changed;
    }

    /// <summary>What it takes to replace extensions and backing file name.</summary>
    /// <exception cref="Qcow2Exception">The header cluster has no room; nothing was changed.</exception>
    public Action Replacement(IReadOnlyList<HeaderExtension> extensions, string? backingFile)
    {
        Qcow2Header changed = Header with { BackingFile = backingFile };
        (byte[] all, Qcow2Header compact) = HeaderLayout.Compact(changed, extensions);
        if (all.Length <= Limits.Sector)
        {
            Array.Resize(ref all, Limits.Sector);
            return () => GoOver(all, compact, extensions);
        }
        int place = FreePlace(all.Length - changed.HeaderLength);
        (byte[] tail, byte[] sector, Qcow2Header apart) = HeaderLayout.Apart(changed, extensions, place);
        return () =>
        {
            file.Write(place, tail);
            GoOver(sector, apart, extensions);
        };
    }

    private void GoOver(byte[] sector, Qcow2Header header, IReadOnlyList<HeaderExtension> extensions)
    {
        file.Flush();
        file.Write(0, sector);
        file.Flush();
        (Header, Extensions) = (header, extensions);
    }

    /// <summary>The extension that records the format of the backing file.</summary>
    public static HeaderExtension FormatExtension(ImageFormat format) =>
        new(HeaderExtension.BackingFormat, format == ImageFormat.Raw ? "raw"u8.ToArray() : "qcow2"u8.ToArray());

    /// <summary>A place for so many bytes that holds nothing of what is valid now, in sectors of its own.</summary>
    /// <remarks>The first one that is large enough: another program that rewrites the header keeps the gap before it, which should
    /// be small then. In a small cluster either right behind the first sector or at the end, so that the next change finds room too.</remarks>
    private int FreePlace(int length)
    {
        const int Sector = Limits.Sector;
        int sectors = (length + Sector - 1) / Sector * Sector, last = Header.ClusterSize - sectors;
        List<(int From, int To)> used = UsedRanges();
        IEnumerable<int> places = last < Sector + (3 * sectors)
            ? [Sector, last]
            : used.Select(r => (r.To + Sector - 1) / Sector * Sector).Append(Sector).Order();
        foreach (int place in places)
        {
            if (place < Sector || place > last || Header.HeaderLength + 8 > Sector) continue;
            if (!used.Exists(r => r.From < place + sectors && place < r.To)) return place;
        }
        throw new Qcow2Exception(
            Qcow2ErrorCode.HeaderFull,
            file.Path,
            $"The header cluster of '{file.Path}' ({Header.ClusterSize} bytes) has no room to replace its extensions and backing file name by {length} bytes beside the present ones. Nothing was changed.");
    }

    /// <summary>Where extensions (but not gaps), end mark and name are now.</summary>
    private List<(int From, int To)> UsedRanges()
    {
        var used = new List<(int, int)>();
        int end = Header.BackingFile is null ? Header.ClusterSize : (int)Header.BackingFileOffset;
        if (Header.BackingFile is { } name) used.Add((end, end + Encoding.UTF8.GetByteCount(name)));
        Span<byte> mark = stackalloc byte[8];
        for (int at = Header.HeaderLength; at + 8 <= end;)
        {
            if (file.Read(at, mark) < 8) break;
            uint type = BinaryPrimitives.ReadUInt32BigEndian(mark);
            int length = type == HeaderExtension.End ? 0 : 8 + ((BinaryPrimitives.ReadInt32BigEndian(mark[4..]) + 7) & ~7);
            used.Add((at, at + (type is HeaderExtension.End or HeaderExtension.Gap ? 8 : length)));
            if (type == HeaderExtension.End) break;
            at += length;
        }
        return used;
    }
}
