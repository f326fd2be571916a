using BenchmarkDotNet.Attributes;
using SnapshotTools.IO;
using SnapshotTools.Qcow2;
using SnapshotTools.Testing;
using SnapshotTools.Testing.Files;

namespace SnapshotTools.Benchmarks.Micro;

/// <summary>Allocating clusters, on a file in memory: the writer without a disk.</summary>
[MemoryDiagnoser]
public class AllocationBenchmark
{
    private const int Clusters = 1024;
    private readonly byte[] _block = new byte[65536];
    private Qcow2Image _image = null!;
    private MemoryFileSystem _files = null!;
    private int _images;

    [IterationSetup]
    public void Setup()
    {
        _files = new MemoryFileSystem();
        _image = Qcow2Image.Create(_files, $"/disk{_images++}", new ImageCreateOptions { VirtualSize = 1L << 40, Open = new ImageOpenOptions { Lock = false } });
    }

    /// <summary>So many whole clusters, each in another L2 table than the one before.</summary>
    [Benchmark(OperationsPerInvoke = Clusters)]
    public void WriteNewClusters()
    {
        for (int i = 0; i < Clusters; i++) _image.Write((long)i * 1_000_013 * 65536 % (1L << 40), _block);
        _image.Flush();
    }

    [IterationCleanup]
    public void Cleanup() => _image.Dispose();
}
