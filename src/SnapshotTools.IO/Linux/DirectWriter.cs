using Microsoft.Win32.SafeHandles;
using SnapshotTools.IO.Posix;

namespace SnapshotTools.IO.Linux;

/// <summary>
/// Writes past the page cache (O_DIRECT), through an open file of its own, since all other writes of the file go through the cache.
/// A page of the cache that is allocated and filled costs more time of the processor than all else in a copy, many times more where the
/// host has not used the memory lately, and takes the place of what guests read. The kernel keeps both ways of writing coherent.
/// </summary>
internal sealed class DirectWriter(SafeFileHandle file) : IDisposable
{
    // What block devices ask for at most; a file system that asks for more refuses, and is not asked again.
    private const int Alignment = 4096;

    // A shorter write waits for the disk longer than it takes to fill the cache, which sends many to it at once.
    private const int MinBytes = 1 << 20;

    // Invalid where the file cannot be opened so.
    private readonly Lazy<SafeFileHandle> _handle = new(() => Reopen(file));
    private volatile bool _isRefused;

    /// <summary>Writes as much from the beginning of the data as can be written so; gives the bytes written, and leaves failures to who writes the rest.</summary>
    public unsafe int Write(long offset, ReadOnlySpan<byte> data)
    {
        fixed (byte* start = data)
        {
            if (data.Length < MinBytes || offset % Alignment != 0 || (nuint)start % Alignment != 0 || _isRefused || _handle.Value is not { IsInvalid: false } handle) return 0;
            int done = 0, whole = data.Length & -Alignment;
            while (done < whole)
            {
                nint n = Libc.PWrite(handle, start + done, (nuint)(whole - done), offset + done);
                if (n < 0 && PosixError.Last == Errno.Interrupted) continue;
                if (n < 0) _isRefused |= PosixError.Last is Errno.Invalid or Errno.NotSupported;
                if (n <= 0) break;
                done += (int)n;
                if (n % Alignment != 0) break;
            }
            return done;
        }
    }

    public void Dispose()
    {
        if (_handle.IsValueCreated) _handle.Value.Dispose();
    }

    /// <summary>By what is open: at its path there may be another file by now.</summary>
    private static SafeFileHandle Reopen(SafeFileHandle file)
    {
        bool isHeld = false;
        try
        {
            file.DangerousAddRef(ref isHeld);
            return LinuxLibc.Open($"/proc/self/fd/{file.DangerousGetHandle()}", LinuxLibc.WriteOnly | LinuxLibc.Direct | LinuxLibc.CloseOnExec, 0);
        }
        finally
        {
            if (isHeld) file.DangerousRelease();
        }
    }
}
