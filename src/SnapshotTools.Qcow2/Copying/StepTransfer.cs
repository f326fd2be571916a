using System.Numerics;
using SnapshotTools.IO;

namespace SnapshotTools.Qcow2;

/// <summary>Moves the data of one step: by the kernel where it can share or copy it unseen, else through a buffer.</summary>
/// <param name="source">The image that is read.</param>
/// <param name="target">Where the data goes.</param>
/// <param name="detectZeroes">Whether units of zeroes are left out. Only where the target reads as zeroes already.</param>
/// <param name="maxStep">The longest step; 0 leaves it to what is fast.</param>
internal sealed class StepTransfer(IDiskImage source, ICopyTarget target, bool detectZeroes, long maxStep = 0)
{
    // A step of the kernel need not pass through a buffer.
    private const long KernelStep = 64L << 20;
    // Long, since a write that makes its file longer waits for the one before it: a thread that decompresses meanwhile is slow to take its turn.
    private const int BufferStep = 8 << 20;
    private const int ZeroBlock = 4096;

    // Whole units, and a power of two as all steps are.
    private readonly long _maxStep = maxStep <= 0 ? long.MaxValue : Math.Max((long)BitOperations.RoundUpToPowerOf2((ulong)maxStep + 1) / 2, target.UnitSize);
    private volatile bool _kernelCopied;
    private volatile bool _kernelRefused;

    /// <summary>Bytes that each thread needs.</summary>
    public int BufferBytes { get; } = Math.Max(BufferStep, target.UnitSize);

    /// <summary>How long the next step should be; steps begin and end at multiples of it where they can.</summary>
    public long StepBytes => Math.Min(_kernelCopied ? KernelStep : BufferBytes, _maxStep);

    /// <summary>Whether adjacent extents of data may be one step: the kernel copies from one place of a file only.</summary>
    public bool Joins(MapExtent first, MapExtent next) => NeedsBuffer || (first.Kind == ExtentKind.Compressed && next.Kind == ExtentKind.Compressed);

    private bool NeedsBuffer => _kernelRefused || detectZeroes;

    /// <summary>Copies a step.</summary>
    public void Do(CopyStep step, BulkBuffer buffer)
    {
        long mask = target.UnitSize - 1L;
        long from = (step.Offset + mask) & ~mask, to = step.End & ~mask;
        if (from >= to)
        {
            WritePart(step.Offset, step.End, buffer);
            return;
        }
        WritePart(step.Offset, from, buffer);
        if (!NeedsBuffer && step.Source is { Kind: ExtentKind.Data, HostOffset: >= 0 } && SourceFiles.Of(source, step.Source.Layer) is { } file)
            FillByKernel(file, step.Source.HostOffset - step.Source.Offset, from, to, buffer);
        else
            FillThroughBuffer(from, to, buffer);
        WritePart(to, step.End, buffer);
    }

    private void FillByKernel(IBlockFile file, long hostMinusGuest, long from, long to, BulkBuffer buffer)
    {
        using Reservation reservation = new(target, from, to - from);
        foreach (ReservedRange range in reservation.Ranges)
        {
            long copied = _kernelRefused ? 0 : file.CopyRange(hostMinusGuest + range.Offset, target.File, range.Host, range.Count);
            if (copied > 0) _kernelCopied = true;
            else if (!_kernelCopied) _kernelRefused = true;
            while (copied < range.Count)
            {
                Span<byte> data = buffer.Span((int)Math.Min(range.Count - copied, BufferBytes));
                source.Read(range.Offset + copied, data);
                target.File.WriteBulk(range.Host + copied, data);
                copied += data.Length;
            }
        }
        reservation.Place();
    }

    private void FillThroughBuffer(long from, long to, BulkBuffer buffer)
    {
        while (from < to)
        {
            Span<byte> data = buffer.Span((int)Math.Min(to - from, BufferBytes));
            source.Read(from, data);
            if (detectZeroes) FillWithoutZeroes(from, data);
            else Fill(from, data);
            from += data.Length;
        }
    }

    private void FillWithoutZeroes(long offset, ReadOnlySpan<byte> data)
    {
        int unit = Math.Max(target.UnitSize, ZeroBlock), from = -1;
        for (int at = 0; at < data.Length; at += unit)
        {
            bool zero = !data[at..Math.Min(at + unit, data.Length)].ContainsAnyExcept((byte)0);
            if (!zero && from < 0) from = at;
            if (!zero || from < 0) continue;
            Fill(offset + from, data[from..at]);
            from = -1;
        }
        if (from >= 0) Fill(offset + from, data[from..]);
    }

    private void Fill(long offset, ReadOnlySpan<byte> data)
    {
        using Reservation reservation = new(target, offset, data.Length);
        foreach (ReservedRange range in reservation.Ranges)
            target.File.WriteBulk(range.Host, data.Slice((int)(range.Offset - offset), (int)range.Count));
        reservation.Place();
    }

    private void WritePart(long from, long to, BulkBuffer buffer)
    {
        while (from < to)
        {
            Span<byte> data = buffer.Span((int)Math.Min(to - from, BufferBytes));
            source.Read(from, data);
            if (!detectZeroes || data.ContainsAnyExcept((byte)0)) target.Write(from, data);
            from += data.Length;
        }
    }
}
