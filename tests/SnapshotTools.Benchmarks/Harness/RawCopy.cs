using Microsoft.Win32.SafeHandles;

namespace SnapshotTools.Benchmarks.Harness;

/// <summary>Copies of a file's bytes without a look at what they are, holes left out: what the file system can do.</summary>
internal static class RawCopy
{
    private const int Step = 4 << 20;

    public static void ByKernel(string source, string target) => Copy(source, target, (from, to, ranges) =>
    {
        foreach (var (offset, count) in ranges) Native.CopyRange(from, to, offset, count);
    });

    public static void ByThreads(string source, string target, int threads) => Copy(source, target, (from, to, ranges) => Move(from, to, ranges, threads));

    /// <summary>Past the page cache, which some machines' memory makes the dearest part of a copy.</summary>
    public static void PastCache(string source, string target, int threads) => Copy(source, target, (from, _, ranges) =>
    {
        using var direct = Native.OpenDirect(target);
        Move(from, direct, ranges, threads);
    });

    private static void Move(SafeFileHandle from, SafeFileHandle to, List<(long Offset, long Count)> ranges, int threads)
    {
        var steps = ranges.SelectMany(r => Enumerable.Range(0, (int)((r.Count + Step - 1) / Step)).Select(i => (Offset: r.Offset + (long)i * Step, Count: (int)Math.Min(Step, r.Count - (long)i * Step)))).ToArray();
        int next = -1;
        Thread[] workers = [.. Enumerable.Range(0, threads).Select(_ => new Thread(() =>
        {
            using var buffer = new IO.BulkBuffer(Step);
            for (int i; (i = Interlocked.Increment(ref next)) < steps.Length;)
            {
                var data = buffer.Span(steps[i].Count);
                RandomAccess.Read(from, data, steps[i].Offset);
                RandomAccess.Write(to, data, steps[i].Offset);
            }
        }))];
        foreach (var worker in workers) worker.Start();
        foreach (var worker in workers) worker.Join();
    }

    private static void Copy(string source, string target, Action<SafeFileHandle, SafeFileHandle, List<(long Offset, long Count)>> work)
    {
        using var file = IO.SystemFiles.Instance.Open(source, IO.FileOpenMode.Read);
        var ranges = new List<(long, long)>();
        for (long at = 0; file.NextData(at) is { } range; at = range.Offset + range.Count) ranges.Add(range);
        using var from = File.OpenHandle(source);
        using var to = File.OpenHandle(target, FileMode.Create, FileAccess.ReadWrite);
        RandomAccess.SetLength(to, file.Length);
        work(from, to, ranges);
        Native.SyncData(to);
    }
}
