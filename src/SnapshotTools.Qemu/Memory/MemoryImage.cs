using System.Text.Json;
using System.Threading.Channels;
using SnapshotTools.IO;

namespace SnapshotTools.Qemu.Memory;

/// <summary>What a memory image says of itself.</summary>
/// <param name="QemuVersion">The QEMU that saved it.</param>
/// <param name="MachineType">The machine type with its version, which it can be loaded into.</param>
/// <param name="SavedAt">When.</param>
public sealed record MemoryImageHeader(string QemuVersion, string MachineType, DateTimeOffset SavedAt)
{
    /// <summary>The version of the file's layout.</summary>
    public int Layout { get; init; } = 1;
}

/// <summary>How much a memory image holds.</summary>
/// <param name="StreamBytes">Bytes of QEMU's migration stream.</param>
/// <param name="FileBytes">Bytes of the file.</param>
public sealed record MemoryImageSize(long StreamBytes, long FileBytes);

/// <summary>A memory image cannot be used: it is damaged, incomplete, or no such file.</summary>
public sealed class MemoryImageException(string path, string what, Exception? cause = null)
    : IOException($"The memory image '{path}' cannot be used: {what}.", cause);

/// <summary>
/// A machine's memory and device state in a file: QEMU's migration stream in frames of the Zstandard format, between two
/// skippable frames, the header and the end mark. <c>zstd -dc</c> turns it into what QEMU reads.
/// </summary>
public static class MemoryImage
{
    private const int HeaderKind = 0xe;
    private const int EndKind = 0xf;
    private const int MaxHeader = 64 << 10;

    /// <summary>Writes everything that a stream gives, compressed by several threads, and makes it durable.</summary>
    /// <param name="source">The stream, read to its end even when the file fails.</param>
    /// <param name="target">A new file.</param>
    /// <param name="header">What the image is to say of itself.</param>
    /// <param name="confirm">Asked when the stream has ended: fails when that was too early. Only then the end mark is written.</param>
    /// <param name="isAbandoned">Once it says so nothing more is written; the stream is still read to its end, and <paramref name="confirm"/> asked.</param>
    /// <exception cref="IOException">The source or the file failed.</exception>
    public static async Task<MemoryImageSize> WriteAsync(Stream source, IBlockFile target, MemoryImageHeader header, Func<Task> confirm, Func<bool>? isAbandoned = null)
    {
        var writer = new MemoryImageWriter(source, target, isAbandoned);
        var (bytes, length) = await writer.RunAsync(ZstdFrame.Skippable(HeaderKind, JsonSerializer.SerializeToUtf8Bytes(header))).ConfigureAwait(false);
        await confirm().ConfigureAwait(false);
        byte[] end = ZstdFrame.Skippable(EndKind, JsonSerializer.SerializeToUtf8Bytes(new EndMark(bytes)));
        target.Write(length, end);
        target.Flush();
        return new MemoryImageSize(bytes, length + end.Length);
    }

    /// <summary>What the image says of itself.</summary>
    /// <exception cref="MemoryImageException">It is no memory image, or one of a later layout.</exception>
    public static MemoryImageHeader ReadHeader(IBlockFile source)
    {
        byte[] start = new byte[MaxHeader];
        int count = source.Read(0, start);
        try
        {
            int size = ZstdFrame.SizeOf(start.AsSpan(0, count));
            if (ZstdFrame.SkippableContent(HeaderKind, start.AsSpan(0, size)) is not { } json) throw new InvalidDataException("it is no memory image");
            var header = JsonSerializer.Deserialize<MemoryImageHeader>(json);
            return header is { Layout: 1, MachineType.Length: > 0 } ? header : throw new InvalidDataException("it was written by a later version");
        }
        catch (Exception e) when (e is InvalidDataException or JsonException)
        {
            throw new MemoryImageException(source.Path, e is JsonException ? "its header is damaged" : e.Message, e);
        }
    }

    /// <summary>Gives a target the stream that was saved.</summary>
    /// <exception cref="MemoryImageException">The image is damaged or incomplete. A part may have been given already.</exception>
    /// <exception cref="IOException">The target does not take it.</exception>
    public static Task ReadAsync(IBlockFile source, Stream target, CancellationToken cancellation = default) => ReadAsync(source, target, null, cancellation);

    /// <inheritdoc cref="ReadAsync(IBlockFile, Stream, CancellationToken)"/>
    internal static async Task ReadAsync(IBlockFile source, Stream target, Action<long>? given, CancellationToken cancellation)
    {
        ReadHeader(source);
        var contents = Channel.CreateBounded<Task<byte[]?>>(8);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var reading = Task.Run(() => ReadFramesAsync(source, contents.Writer, ended.Token), CancellationToken.None);
        long bytes = 0;
        try
        {
            await foreach (var content in contents.Reader.ReadAllAsync(cancellation).ConfigureAwait(false))
            {
                if (await content.ConfigureAwait(false) is not { } data) continue;
                await target.WriteAsync(data, cancellation).ConfigureAwait(false);
                bytes += data.Length;
                given?.Invoke(bytes);
            }
            long expected = await reading.ConfigureAwait(false);
            if (expected != bytes) throw new InvalidDataException($"it has {bytes} bytes of {expected}");
        }
        catch (InvalidDataException e)
        {
            throw new MemoryImageException(source.Path, e.Message, e);
        }
        finally
        {
            await ended.CancelAsync().ConfigureAwait(false);
        }
    }

    private sealed record EndMark(long Bytes);

    private static async Task<long> ReadFramesAsync(IBlockFile source, ChannelWriter<Task<byte[]?>> contents, CancellationToken cancellation)
    {
        try
        {
            byte[] window = new byte[2 * ZstdFrame.MaxFrame];
            long offset = 0;
            while (true)
            {
                int count = source.Read(offset, window);
                int at = 0;
                for (int size; (size = ZstdFrame.SizeOf(window.AsSpan(at, count - at))) > 0; at += size)
                {
                    byte[] frame = window.AsSpan(at, size).ToArray();
                    if (ZstdFrame.SkippableContent(EndKind, frame) is { } end)
                        return JsonSerializer.Deserialize<EndMark>(end)?.Bytes ?? throw new InvalidDataException("its end mark is damaged");
                    await contents.WriteAsync(Task.Run(() => ZstdFrame.Decompress(frame), cancellation), cancellation).ConfigureAwait(false);
                }
                if (at == 0) throw new InvalidDataException("it ends too early");
                offset += at;
            }
        }
        catch (JsonException e)
        {
            throw new InvalidDataException("its end mark is damaged", e);
        }
        finally
        {
            contents.TryComplete();
        }
    }
}
