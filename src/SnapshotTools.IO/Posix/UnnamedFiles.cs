using Microsoft.Win32.SafeHandles;

namespace SnapshotTools.IO.Posix;

/// <summary>
/// Files that have just lost their name. To give back the blocks of a gigabyte takes the file system up to half a second, and where each free
/// block is told to the disk (mount option <c>discard</c>) those of the smallest a tenth of a millisecond, in which whoever deleted it would
/// wait; so the file is held open while its name goes, and let go on another thread. If the
/// process dies before, the kernel lets it go; after a power cut the file system does when it is mounted.
/// </summary>
internal sealed class UnnamedFiles
{
    private readonly object _lock = new();
    private long _bytes;

    /// <summary>How many bytes they hold that are not free yet.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>Lets the last hold on a file go, on another thread.</summary>
    public void LetGo(SafeFileHandle file, long bytes)
    {
        lock (_lock) _bytes += bytes;
        ThreadPool.UnsafeQueueUserWorkItem(f => Close(f, bytes), file, preferLocal: false);
    }

    /// <summary>Waits until all of them are free.</summary>
    public void Wait()
    {
        lock (_lock)
        {
            while (_bytes > 0) Monitor.Wait(_lock);
        }
    }

    private void Close(SafeFileHandle file, long bytes)
    {
        file.Dispose();
        lock (_lock)
        {
            _bytes -= bytes;
            Monitor.PulseAll(_lock);
        }
    }
}
