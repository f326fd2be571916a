using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>Reads tables of a file; knows where the file has holes, so that tables of an enormous sparse file cost nothing.</summary>
internal sealed class SparseReader(IBlockFile file)
{
    private long _holeStart;
    private long _holeEnd;
    private long _dataStart;
    private long _dataEnd;

    /// <summary>The file.</summary>
    public IBlockFile File => file;

    /// <summary>Its length when the check began.</summary>
    public long Length { get; } = file.Length;

    /// <summary>Whether a range holds nothing but zeroes because the file has a hole there, or ends before it.</summary>
    public bool IsHole(long offset, long count)
    {
        if (offset >= Length) return true;
        if (offset >= _dataStart && offset < _dataEnd) return false;
        if (!(offset >= _holeStart && offset < _holeEnd))
        {
            (long Offset, long Count)? data = file.NextData(offset);
            (_dataStart, _dataEnd) = data is { } d ? (d.Offset, d.Offset + d.Count) : (long.MaxValue, long.MaxValue);
            (_holeStart, _holeEnd) = (offset, _dataStart);
        }
        return offset + count <= _holeEnd;
    }

    /// <summary>Fills the buffer, with zeroes where the file ends; false, and the buffer left alone, when all is zeroes.</summary>
    public bool TryRead(long offset, Span<byte> buffer)
    {
        if (IsHole(offset, buffer.Length)) return false;
        int read = file.Read(offset, buffer);
        buffer[read..].Clear();
        return true;
    }
}
