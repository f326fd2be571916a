using System.IO.Pipes;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SnapshotTools.Qemu.Memory;

/// <summary>
/// The pipe that QEMU saves a machine's memory into. It can be made full, so that QEMU prepares its work and then waits with its first
/// words until it is <see cref="Release"/>d. (pipe(7), fcntl(2))
/// </summary>
internal sealed partial class SavingPipe : IAsyncDisposable
{
    private const int SetPipeSize = 1031;
    private const int GetPipeSize = 1032;
    private const int SmallestBytes = 4096;     // rounded up to a page by the system
    private static readonly int[] Sizes = [1 << 20, 256 << 10, 64 << 10];

    private readonly AnonymousPipeServerStream _reader = new(PipeDirection.In, HandleInheritability.None);
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly int _filledBytes;

    /// <summary>Makes the pipe.</summary>
    /// <param name="isFull">Whether nothing more goes into it at first.</param>
    public SavingPipe(bool isFull)
    {
        if (isFull && Resize(SmallestBytes) is > 0 and int size) _filledBytes = Fill(size);
        else Release();
    }

    /// <summary>QEMU's end.</summary>
    public SafePipeHandle Writer => _reader.ClientSafePipeHandle;

    /// <summary>Whether it is full, and QEMU waits with its first words.</summary>
    public bool IsFull => !_released.Task.IsCompleted;

    /// <summary>Closes our copy of QEMU's end, or the pipe would never be seen to end.</summary>
    public void CloseWriter() => _reader.DisposeLocalCopyOfClientHandle();

    /// <summary>Lets QEMU go on, at once, whether or not anyone reads yet.</summary>
    public void Release()
    {
        // Not allowed above the system's and the user's limits; if even the last is not, it is as large as it is.
        foreach (int bytes in Sizes)
            if (Resize(bytes) > 0) break;
        _released.TrySetResult();
    }

    /// <summary>What QEMU writes, once it is released.</summary>
    public async Task<Stream> OpenAsync()
    {
        await _released.Task.ConfigureAwait(false);
        // Not asynchronously: from then on every reading of a pipe would go by way of the library's thread for sockets, which costs twice as much.
        _reader.ReadExactly(new byte[_filledBytes]);
        return _reader;
    }

    /// <summary>The bytes that a pipe holds; 0 for other streams and where the system does not tell.</summary>
    public static int CapacityOf(Stream stream) =>
        OperatingSystem.IsLinux() && stream is PipeStream pipe && FileControl(pipe.SafePipeHandle, GetPipeSize, 0) is > 0 and int bytes ? bytes : 0;

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _reader.DisposeAsync();

    private int Resize(int bytes) => OperatingSystem.IsLinux() ? FileControl(_reader.SafePipeHandle, SetPipeSize, bytes) : -1;

    /// <summary>Writes what an empty pipe of a size holds, which does not wait.</summary>
    private int Fill(int size)
    {
        using var handle = new SafeFileHandle(Writer.DangerousGetHandle(), ownsHandle: false);
        using var writer = new FileStream(handle, FileAccess.Write, bufferSize: 0);
        writer.Write(new byte[size]);
        return size;
    }

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int FileControl(SafePipeHandle file, int command, int argument);
}
