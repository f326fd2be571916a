using Microsoft.Win32.SafeHandles;

namespace SnapshotTools.Benchmarks.Harness;

/// <summary>
/// The writes and fsyncs without which new heads over layers cannot be durable, and nothing else, in the fastest order that was found: the new
/// files, all written before one is waited for; the layers' data, where it is new, and the files, by a few threads at once; their directory; and
/// two commits of a write-ahead log, the one before the files and the one after them.
/// </summary>
internal sealed class FsyncLimit : IDisposable
{
    private const int HeadBytes = 4096, LogBytes = 24 << 10, FlushesPerThread = 4, MostThreads = 4;
    private readonly string _folder;
    private readonly SafeFileHandle[] _layers;
    private readonly SafeFileHandle _log;
    private readonly bool _flushesLayers;
    private readonly byte[] _data = new byte[LogBytes];
    private int _count;

    public FsyncLimit(string folder, int disks, bool flushesLayers)
    {
        _flushesLayers = flushesLayers;
        _folder = Directory.CreateDirectory(folder).FullName;
        Random.Shared.NextBytes(_data);
        _layers = [.. Enumerable.Range(0, disks).Select(i => New($"layer{i}", 1 << 20))];
        _log = New("log", 4 << 20);
    }

    /// <summary>Once.</summary>
    public void Run() => Run(files =>
    {
        AtOnce(files);
        Native.SyncDirectory(_folder);
    });

    /// <summary>The same by one syncfs and one fsync, which is no limit to what else the file system may have to write.</summary>
    public void RunTogether() => Run(_ =>
    {
        Native.SyncFileSystem(_folder);
        Native.SyncDirectory(_folder);
    });

    private void Run(Action<SafeFileHandle[]> flush)
    {
        int first = _count;
        _count += _layers.Length;
        Commit();
        var heads = new SafeFileHandle[_layers.Length];
        for (int i = 0; i < heads.Length; i++)
        {
            heads[i] = File.OpenHandle(Path.Combine(_folder, $"head{first + i}"), FileMode.CreateNew, FileAccess.ReadWrite);
            RandomAccess.SetLength(heads[i], 256 << 10);
            foreach (long offset in new[] { 0L, 64 << 10, 128 << 10 }) RandomAccess.Write(heads[i], _data.AsSpan(0, HeadBytes), offset);
            Native.BeginSync(heads[i]);
        }
        flush(_flushesLayers ? [.. _layers, .. heads] : heads);
        foreach (var head in heads) head.Dispose();
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

    private static void AtOnce(SafeFileHandle[] files)
    {
        int next = -1;
        Thread[] threads = [.. Enumerable.Range(0, Math.Min((files.Length - 1) / FlushesPerThread, MostThreads - 1)).Select(_ => new Thread(Work, 128 << 10))];
        foreach (var thread in threads) thread.Start();
        Work();
        foreach (var thread in threads) thread.Join();

        void Work()
        {
            for (int i; (i = Interlocked.Increment(ref next)) < files.Length;) Native.SyncData(files[i]);
        }
    }
}
