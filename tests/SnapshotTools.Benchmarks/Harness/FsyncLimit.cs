using Microsoft.Win32.SafeHandles;

namespace SnapshotTools.Benchmarks.Harness;

/// <summary>
/// The writes and fsyncs without which new heads over layers cannot be durable, and nothing else: the layers' data, the new files, all at
/// once; their directory; and two commits of a write-ahead log, the one before the files and the one after them.
/// </summary>
internal sealed class FsyncLimit : IDisposable
{
    private const int HeadBytes = 4096, LogBytes = 24 << 10;
    private readonly string _folder;
    private readonly SafeFileHandle[] _layers;
    private readonly SafeFileHandle _log;
    private readonly byte[] _data = new byte[LogBytes];
    private int _count;

    public FsyncLimit(string folder, int disks)
    {
        _folder = Directory.CreateDirectory(folder).FullName;
        Random.Shared.NextBytes(_data);
        _layers = [.. Enumerable.Range(0, disks).Select(i => New($"layer{i}", 1 << 20))];
        _log = New("log", 4 << 20);
    }

    /// <summary>Once.</summary>
    public void Run()
    {
        int first = _count;
        _count += _layers.Length;
        Commit();
        AtOnce(_layers.Length, i =>
        {
            Native.SyncData(_layers[i]);
            using var head = File.OpenHandle(Path.Combine(_folder, $"head{first + i}"), FileMode.CreateNew, FileAccess.ReadWrite);
            RandomAccess.SetLength(head, 256 << 10);
            foreach (long offset in new[] { 0L, 64 << 10, 128 << 10 }) RandomAccess.Write(head, _data.AsSpan(0, HeadBytes), offset);
            Native.SyncData(head);
        });
        Native.SyncDirectory(_folder);
        Commit();
    }

    public void Dispose()
    {
        foreach (var layer in _layers) layer.Dispose();
        _log.Dispose();
    }

    private void Commit()
    {
        RandomAccess.Write(_log, _data, (long)(_count * 2 % 100) * LogBytes);
        Native.SyncData(_log);
    }

    private SafeFileHandle New(string name, int bytes)
    {
        var file = File.OpenHandle(Path.Combine(_folder, name), FileMode.CreateNew, FileAccess.ReadWrite);
        RandomAccess.Write(file, new byte[bytes], 0);
        RandomAccess.FlushToDisk(file);
        return file;
    }

    private static void AtOnce(int count, Action<int> work)
    {
        if (count == 1)
        {
            work(0);
            return;
        }
        Thread[] threads = [.. Enumerable.Range(0, count).Select(i => new Thread(() => work(i), 128 << 10))];
        foreach (var thread in threads) thread.Start();
        foreach (var thread in threads) thread.Join();
    }
}
