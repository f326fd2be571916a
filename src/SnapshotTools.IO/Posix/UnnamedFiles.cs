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
    private int _count;

    /// <summary>Lets the last hold on a file go, on another thread.</summary>
    public void LetGo(SafeFileHandle file)
    {
        lock (_lock) _count++;
        ThreadPool.UnsafeQueueUserWorkItem(Close, file, preferLocal: false);
    }

    /// <summary>Waits until the blocks of all of them are free.</summary>
    public void Wait()
    {
        lock (_lock)
        {
            while (_count > 0) Monitor.Wait(_lock);
        }
    }

    private void Close(SafeFileHandle file)
    {
        file.Dispose();
        lock (_lock)
        {
            _count--;
            Monitor.PulseAll(_lock);
        }
    }
}
