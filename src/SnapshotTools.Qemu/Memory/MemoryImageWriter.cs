using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Threading.Channels;
using SnapshotTools.IO;

namespace SnapshotTools.Qemu.Memory;

/// <summary>
/// Compresses a stream into the frames of a memory image. One thread reads, so that QEMU does not wait; others compress and write,
/// and have the disk begin at once. Buffers are used again: fresh memory for each MiB took more time than compressing it.
/// </summary>
internal sealed partial class MemoryImageWriter(Stream source, IBlockFile target, Func<bool>? isAbandoned)
{
    private const int PiecesAhead = 48;  // so many MiB may wait while QEMU already goes on
    private const int MaxThreads = 4;
    private const int FewBytes = 128 << 10;
    private const uint GatherMicroseconds = 250;    // in which QEMU fills a quarter of the pipe, and does not come to wait for room
    private static readonly TimeSpan StallLimit = TimeSpan.FromSeconds(15);   // the guest may stand meanwhile

    private readonly Channel<Piece> _pieces = Channel.CreateBounded<Piece>(PiecesAhead);
    private readonly ConcurrentBag<byte[]> _buffers = [];
    private readonly object _order = new();
    private volatile Exception? _failure;
    private long _length;
    private long _nextNumber;

    private readonly record struct Piece(long Number, byte[] Buffer, int Count);

    /// <summary>Writes the header and then the whole stream. The stream is read to its end even when the file fails: one that nobody reads
    /// would hold QEMU, or break its snapshot of the memory, which is worse for the guest than one that nobody keeps.</summary>
    /// <returns>The bytes of the stream and those of the file.</returns>
    /// <exception cref="IOException">The stream or the file failed.</exception>
    public async Task<(long StreamBytes, long FileBytes)> RunAsync(byte[] header)
    {
        _length = header.Length;
        Task[] writing = [.. Enumerable.Range(0, Math.Clamp(Environment.ProcessorCount, 1, MaxThreads)).Select(_ => OnThread(WriteAll))];
        Try(() => target.Write(0, header));
        long bytes = 0;
        try
        {
            await OnThread(() => bytes = ReadAll()).ConfigureAwait(false);
        }
        finally
        {
            _pieces.Writer.TryComplete();
        }
        await Task.WhenAll(writing).ConfigureAwait(false);
        if (_failure is { } failure) ExceptionDispatchInfo.Throw(failure);
        if (isAbandoned?.Invoke() == true) throw new IOException($"Nobody wanted the memory in '{target.Path}' any more.");
        return (bytes, _length);
    }

    private static Task OnThread(Action work) => Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private long ReadAll()
    {
        long bytes = 0;
        for (long number = 0; ; number++)
        {
            if (!_buffers.TryTake(out byte[]? buffer)) buffer = GC.AllocateUninitializedArray<byte>(ZstdFrame.MaxContent);
            int count = Fill(buffer);
            if (count == 0) return bytes;
            if (!_pieces.Writer.WriteAsync(new Piece(number, buffer, count)).AsTask().Wait(StallLimit))
            {
                source.CopyTo(Stream.Null);
                throw new IOException($"The disk of '{target.Path}' took nothing for {StallLimit.TotalSeconds:0} s, so the memory was not saved.");
            }
            bytes += count;
            if (count < ZstdFrame.MaxContent) return bytes;
        }
    }

    /// <summary>
    /// Reads until the buffer is full or the stream ends. QEMU 7.2 writes a background snapshot page by page; reading after each
    /// would be a quarter of a million wake-ups for a GiB, on both sides. So what has come is read, and then left to gather for a moment.
    /// </summary>
    private int Fill(Span<byte> buffer)
    {
        int count = 0;
        while (count < buffer.Length)
        {
            int some = source.Read(buffer[count..]);
            if (some == 0) break;
            count += some;
            if (some < FewBytes && OperatingSystem.IsLinux()) _ = Sleep(GatherMicroseconds);
        }
        return count;
    }

    private void WriteAll()
    {
        ZstdCompressor? compressor = null;
        Try(() => compressor = ZstdFrame.CreateCompressor());
        using var _ = compressor;
        byte[] frame = GC.AllocateUninitializedArray<byte>(ZstdFrame.MaxFrame);
        while (_pieces.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult())
        {
            if (!_pieces.Reader.TryRead(out var piece)) continue;
            int size = 0;
            Try(() => size = ZstdFrame.Compress(compressor, piece.Buffer.AsSpan(0, piece.Count), frame));
            _buffers.Add(piece.Buffer);
            long at = Place(piece.Number, size);
            Try(() =>
            {
                target.Write(at, frame.AsSpan(0, size));
                target.BeginFlush(at, size);
            });
        }
    }

    /// <summary>Where the frame of a piece goes: behind those of all pieces before it. Each piece comes here, or the next ones would wait for it.</summary>
    private long Place(long number, int size)
    {
        lock (_order)
        {
            while (_nextNumber != number) Monitor.Wait(_order);
            long at = _length;
            _length += size;
            _nextNumber++;
            Monitor.PulseAll(_order);
            return at;
        }
    }

    /// <summary>Nothing more is done once something has failed or nobody wants it; what is read is thrown away.</summary>
    private void Try(Action work)
    {
        if (_failure is not null || isAbandoned?.Invoke() == true) return;
        try
        {
            work();
        }
        catch (Exception e)
        {
            _failure = e;
        }
    }

    [LibraryImport("libc", EntryPoint = "usleep")]
    private static partial int Sleep(uint microseconds);
}
