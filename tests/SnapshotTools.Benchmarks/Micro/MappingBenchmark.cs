using BenchmarkDotNet.Attributes;
using SnapshotTools.Benchmarks.Harness;
using SnapshotTools.Qcow2;
using SnapshotTools.Testing;

namespace SnapshotTools.Benchmarks.Micro;

/// <summary>Finding where a guest's block is.</summary>
[MemoryDiagnoser]
public class MappingBenchmark : IDisposable
{
    private const long Size = 64L << 30;
    private readonly TempFolder _folder = new();
    private readonly byte[] _buffer = new byte[512];
    private Qcow2Image _image = null!;
    private long _at;

    /// <summary>Layers of the chain.</summary>
    [Params(1, 16)]
    public int Layers { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        string top = Images.Create(_folder.File($"base{Layers}"), Size, i => Images.Scatter(i, 2000, 1));
        for (int n = 1; n < Layers; n++)
        {
            int seed = n;
            top = Images.Create(_folder.File($"layer{Layers}-{n}"), Size, i => Images.Scatter(i, 200, seed), top);
        }
        _image = Images.Open(top);
    }

    /// <summary>512 bytes at a place where mostly nothing is: the mapping alone.</summary>
    [Benchmark]
    public void ReadOneSector()
    {
        _at = (_at + 7919L * 65536) % (Size - 512);
        _image.Read(_at & ~511L, _buffer);
    }

    /// <summary>The extents of one GiB.</summary>
    [Benchmark]
    public int MapOneGiB()
    {
        _at = (_at + (1L << 30)) % (Size - (1L << 30));
        return _image.Map(_at & ~65535L, 1L << 30).Count();
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _image?.Dispose();
        _folder.Dispose();
        GC.SuppressFinalize(this);
    }
}
