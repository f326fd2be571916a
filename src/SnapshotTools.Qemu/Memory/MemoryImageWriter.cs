using System.Diagnostics;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using SnapshotTools.IO;

namespace SnapshotTools.Qemu.Memory;

/// <summary>
/// Compresses a stream into the frames of a memory image. One thread reads, so that QEMU does not wait; others compress and write,
/// and have the disk begin at once. Memory is used again, ours and the system's cache: fresh memory for each MiB took more time than compressing it.
/// </summary>
internal sealed partial class MemoryImageWriter(Stream source, IBlockFile target, Func<bool>? isAbandoned)
{
    private const int PiecesAhead = 48;  // so many MiB may wait while QEMU already goes on
    private const int MaxThreads = 4;
    private const long DroppedBehind = 32 << 20;    // so much the disk may be behind
    private const long DroppedAtOnce = 8 << 20;     // the cache drops its larger pages only as a whole
    private const uint GatherMicroseconds = 250;    // in which QEMU fills a quarter of the pipe, and does not come to wait for room
    private static readonly TimeSpan StallLimit = TimeSpan.FromSeconds(15);   // the guest may stand meanwhile

    private readonly Queue<Piece> _pieces = [];
    private readonly Stack<FrameBuffer> _buffers = [];
    private readonly object _order = new();
    private readonly int _few = SavingPipe.CapacityOf(source) / 4;
    private volatile Exception? _failure;
    private bool _hasEnded;
    private long _length;
    private long _nextNumber;

    private readonly record struct Piece(long Number, FrameBuffer Buffer);

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
            lock (_pieces)
            {
                _hasEnded = true;
                Monitor.PulseAll(_pieces);
            }
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
            var buffer = TakeBuffer();
            bool isFull = buffer.Fill(source, Gather);
            bytes += buffer.Count;
            if (buffer.Count > 0 && !TryAdd(new Piece(number, buffer)))
            {
                source.CopyTo(Stream.Null);
                throw new IOException($"The disk of '{target.Path}' took nothing for {StallLimit.TotalSeconds:0} s, so the memory was not saved.");
            }
            if (!isFull) return bytes;
        }
    }

    /// <summary>
    /// QEMU 7.2 writes a background snapshot page by page; reading after each would be a quarter of a million wake-ups for a GiB, on
    /// both sides. So what has come is read, and then left to gather for a moment; not so when a small pipe was full.
    /// </summary>
    private void Gather(int read)
    {
        if (read < _few) _ = Sleep(GatherMicroseconds);
    }

    private FrameBuffer TakeBuffer()
    {
        lock (_pieces) return _buffers.TryPop(out var buffer) ? buffer : new FrameBuffer();
    }

    /// <summary>Waits for room, but not for ever. Threads wait here and below, not tasks: those of the pool look for more work for a while after each.</summary>
    private bool TryAdd(Piece piece)
    {
        lock (_pieces)
        {
            long begun = Stopwatch.GetTimestamp();
            while (_pieces.Count >= PiecesAhead)
            {
                var left = StallLimit - Stopwatch.GetElapsedTime(begun);
                if (left <= TimeSpan.Zero || !Monitor.Wait(_pieces, left)) return false;
            }
            _pieces.Enqueue(piece);
            Monitor.Pulse(_pieces);     // one of those that take: that which adds is here
            return true;
        }
    }

    private bool TryTake(out Piece piece)
    {
        lock (_pieces)
        {
            while (!_pieces.TryDequeue(out piece))
            {
                if (_hasEnded) return false;
                Monitor.Wait(_pieces);
            }
            if (_pieces.Count == PiecesAhead - 1) Monitor.Pulse(_pieces);   // that which adds: none that takes waits while there are pieces
            return true;
        }
    }

    private void WriteAll()
    {
        ZstdCompressor? compressor = null;
        Try(() => compressor = ZstdFrame.CreateCompressor());
        using var _ = compressor;
        byte[] room = GC.AllocateUninitializedArray<byte>(ZstdFrame.MaxFrame);
        while (TryTake(out var piece))
        {
            ReadOnlyMemory<byte> frame = default;
            Try(() => frame = piece.Buffer.ToFrame(compressor, room));
            long at = Place(piece.Number, frame.Length);
            Try(() =>
            {
                target.Write(at, frame.Span);
                target.BeginFlush(at, frame.Length);
                DropBehind(at, at + frame.Length);
            });
            lock (_pieces) _buffers.Push(piece.Buffer);
        }
    }

    /// <summary>What is on the disk leaves the cache to others, and its pages to what follows. What a slower disk has yet to write stays.</summary>
    private void DropBehind(long from, long to)
    {
        long first = LastDropped(from), last = LastDropped(to);
        if (last > first) target.DropFromCache(first, last - first);

        static long LastDropped(long written) => Math.Max(0, written - DroppedBehind) / DroppedAtOnce * DroppedAtOnce;
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
