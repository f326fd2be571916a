using System.Buffers;
using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>Writes guest data: in place where a cluster belongs to this place alone, else into new clusters, filled up with
/// what the guest saw there before.</summary>
internal sealed class DataWriter(WritableTables tables, GuestView view, IBlockFile file)
{
    /// <summary>Up to here, data and what fills up its clusters are put together and written at once.</summary>
    private const int JoinBytes = 1 << 20;

    private readonly Geometry _geometry = tables.Geometry;
    private readonly LayerMap _map = tables.Map;

    /// <summary>Bytes beyond this guest offset are not seen by anyone and count as zeroes.</summary>
    private long Size => tables.Layer.VirtualSize;

    public void Write(long offset, ReadOnlySpan<byte> data)
    {
        while (data.Length > 0)
        {
            L2Slice slice = tables.SliceForWrite(offset);
            int count = (int)Math.Min(data.Length, _map.SliceEnd(offset) - offset);
            WriteInSlice(slice, offset, data[..count]);
            offset += count;
            data = data[count..];
            tables.BarrierWhenFull();
        }
    }

    private void WriteInSlice(L2Slice slice, long offset, ReadOnlySpan<byte> data)
    {
        while (data.Length > 0)
        {
            int count;
            bool whole = _geometry.OffsetInCluster(offset) == 0 && data.Length >= _geometry.ClusterSize;
            if (_geometry.ExtendedL2 && !whole) count = WriteSubclusters(slice, offset, data);
            else if (IsOwn(slice.Word(_map.EntryOffset(offset)), offset)) count = WriteInPlace(slice, offset, data);
            else count = WriteNew(slice, offset, data);
            offset += count;
            data = data[count..];
        }
    }

    /// <summary>Whether the entry has a cluster to which nothing else refers. With entries of 64 bits it must also hold
    /// data: one that is kept for zeroes is replaced.</summary>
    private bool IsOwn(ulong entry, long offset)
    {
        ClusterKind kind = Kind(entry, offset);
        return (entry & L2Format.Copied) != 0 && kind == ClusterKind.Data;
    }

    private ClusterKind Kind(ulong entry, long offset)
    {
        ClusterKind kind = _map.Format.KindOf(entry);
        // Reading reports what is wrong with it.
        if (kind == ClusterKind.Invalid) _map.Next(offset, 1);
        return kind;
    }

    /// <summary>Writes over clusters of one's own that are adjacent in the file.</summary>
    private int WriteInPlace(L2Slice slice, long offset, ReadOnlySpan<byte> data)
    {
        int at = _map.EntryOffset(offset), inCluster = (int)_geometry.OffsetInCluster(offset);
        ulong first = slice.Word(at);
        int count = 0;
        for (ulong expected = first; count < data.Length; expected += (ulong)_geometry.ClusterSize, at += 1 << _geometry.L2EntryBits)
        {
            int part = Math.Min(_geometry.ClusterSize - (count == 0 ? inCluster : 0), data.Length - count);
            bool whole = part == _geometry.ClusterSize;
            if (slice.Word(at) != expected || (_geometry.ExtendedL2 && !whole)) break;
            tables.Clusters.RequireExclusive(_geometry.ClusterOf(L2Format.HostOffset(expected)));
            count += part;
        }
        file.Write(L2Format.HostOffset(first) + inCluster, data[..count]);
        if (_geometry.ExtendedL2) MarkAllocated(slice, offset, count);
        return count;
    }

    private void MarkAllocated(L2Slice slice, long offset, int count)
    {
        for (int done = 0; done < count; done += _geometry.ClusterSize)
        {
            int at = _map.EntryOffset(offset + done) + 8;
            if (slice.Word(at) != uint.MaxValue) tables.SetEntry(slice, at, uint.MaxValue);
        }
    }

    /// <summary>Writes into new clusters; with extended entries, whole clusters only.</summary>
    private int WriteNew(L2Slice slice, long offset, ReadOnlySpan<byte> data)
    {
        int inCluster = (int)_geometry.OffsetInCluster(offset);
        int clusters = 0, covered = -inCluster;
        while (covered < data.Length && !IsOwn(slice.Word(_map.EntryOffset(offset + Math.Max(covered, 0))), offset + Math.Max(covered, 0)))
        {
            if (_geometry.ExtendedL2 && data.Length - covered < _geometry.ClusterSize) break;
            clusters++;
            covered += _geometry.ClusterSize;
        }
        ClusterRun run = tables.Allocate(1, clusters);
        int count = Math.Min(data.Length, (run.Count << _geometry.ClusterBits) - inCluster);
        try
        {
            WriteFilled(run, offset, data[..count]);
        }
        catch
        {
            tables.Clusters.Undo(run);
            throw;
        }
        for (int i = 0; i < run.Count; i++)
        {
            int at = _map.EntryOffset(offset + ((long)i << _geometry.ClusterBits));
            ulong old = slice.Word(at);
            tables.SetEntry(slice, at, ((ulong)(run.Cluster + i) << _geometry.ClusterBits) | L2Format.Copied);
            if (_geometry.ExtendedL2) tables.SetEntry(slice, at + 8, uint.MaxValue);
            tables.FreeOld(old);
        }
        return count;
    }

    /// <summary>Writes data into new clusters, with what the guest saw before around it.</summary>
    private void WriteFilled(ClusterRun run, long offset, ReadOnlySpan<byte> data)
    {
        long host = run.Cluster << _geometry.ClusterBits;
        int head = (int)_geometry.OffsetInCluster(offset);
        int tail = (run.Count << _geometry.ClusterBits) - head - data.Length;
        bool fillHead = head > 0 && !(run.IsFresh && IsZero(offset - head, head));
        bool fillTail = tail > 0 && !(run.FreshFrom <= run.Cluster + run.Count - 1 && IsZero(offset + data.Length, tail));
        Put(host + head, offset, data, fillHead ? head : 0, fillTail ? tail : 0);
    }

    /// <summary>Writes data to the file, with so many bytes before and after it of what the guest sees there.</summary>
    private void Put(long host, long offset, ReadOnlySpan<byte> data, int head, int tail)
    {
        if (head + tail == 0)
        {
            file.Write(host, data);
            return;
        }
        bool join = head + data.Length + tail <= JoinBytes;
        byte[] rented = ArrayPool<byte>.Shared.Rent(join ? head + data.Length + tail : Math.Max(head, tail));
        try
        {
            if (join)
            {
                Span<byte> all = rented.AsSpan(0, head + data.Length + tail);
                ReadGuest(offset - head, all[..head]);
                data.CopyTo(all[head..]);
                ReadGuest(offset + data.Length, all[(head + data.Length)..]);
                file.Write(host - head, all);
                return;
            }
            if (head > 0)
            {
                ReadGuest(offset - head, rented.AsSpan(0, head));
                file.Write(host - head, rented.AsSpan(0, head));
            }
            file.Write(host, data);
            if (tail == 0) return;
            ReadGuest(offset + data.Length, rented.AsSpan(0, tail));
            file.Write(host + data.Length, rented.AsSpan(0, tail));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    /// <summary>Writes to a part of one cluster with extended entries; only the subclusters that are touched are filled up.</summary>
    private int WriteSubclusters(L2Slice slice, long offset, ReadOnlySpan<byte> data)
    {
        int at = _map.EntryOffset(offset), inCluster = (int)_geometry.OffsetInCluster(offset);
        int count = Math.Min(data.Length, _geometry.ClusterSize - inCluster);
        ulong entry = slice.Word(at), bitmap = slice.Word(at + 8);
        ClusterKind kind = Kind(entry, offset);
        if (kind != ClusterKind.Compressed && !L2Format.IsValidBitmap(entry, bitmap)) _map.Next(offset, 1);

        int bits = _geometry.SubclusterBits, mask = (1 << bits) - 1;
        int first = inCluster >> bits, last = (inCluster + count - 1) >> bits;
        uint touched = (uint)(((1UL << (last - first + 1)) - 1) << first);
        bool own = IsOwn(entry, offset);
        uint held = own ? (uint)bitmap : 0;
        int head = (held >> first & 1) != 0 ? 0 : inCluster & mask;
        int tail = (held >> last & 1) != 0 ? 0 : -(inCluster + count) & mask;
        if (kind == ClusterKind.Compressed)
        {
            (touched, head, tail) = (uint.MaxValue, inCluster, _geometry.ClusterSize - inCluster - count);
        }

        if (own)
        {
            tables.Clusters.RequireExclusive(_geometry.ClusterOf(L2Format.HostOffset(entry)));
            Put(L2Format.HostOffset(entry) + inCluster, offset, data[..count], head, tail);
        }
        else
        {
            ClusterRun run = tables.Allocate(1, 1);
            long host = run.Cluster << _geometry.ClusterBits;
            try
            {
                if (kind == ClusterKind.Data) CopySubclusters(offset - inCluster, host, (uint)bitmap & ~touched);
                Put(host + inCluster, offset, data[..count], head, tail);
            }
            catch
            {
                tables.Clusters.Undo(run);
                throw;
            }
            tables.SetEntry(slice, at, (ulong)host | L2Format.Copied);
            tables.FreeOld(entry);
        }
        if (kind == ClusterKind.Compressed) bitmap = 0;
        ulong changed = (bitmap | touched) & ~((ulong)touched << 32);
        if (changed != slice.Word(at + 8)) tables.SetEntry(slice, at + 8, changed);
        return count;
    }

    /// <summary>Copies what a shared cluster holds to the cluster that replaces it here.</summary>
    private void CopySubclusters(long guest, long host, uint subclusters)
    {
        for (int sub = 0; sub < 32; sub++)
        {
            if ((subclusters >> sub & 1) == 0) continue;
            long at = (long)sub << _geometry.SubclusterBits;
            byte[] rented = ArrayPool<byte>.Shared.Rent(1 << _geometry.SubclusterBits);
            try
            {
                Span<byte> bytes = rented.AsSpan(0, 1 << _geometry.SubclusterBits);
                ReadGuest(guest + at, bytes);
                file.Write(host + at, bytes);
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(rented);
            }
        }
    }

    private bool IsZero(long offset, int count) =>
        offset >= Size || view.IsZero(offset, Math.Min(count, Size - offset));

    private void ReadGuest(long offset, Span<byte> buffer)
    {
        int seen = (int)Math.Clamp(Size - offset, 0, buffer.Length);
        if (seen > 0) view.Read(offset, buffer[..seen]);
        buffer[seen..].Clear();
    }
}
