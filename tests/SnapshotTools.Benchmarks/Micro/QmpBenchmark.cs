using System.Text;
using BenchmarkDotNet.Attributes;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Benchmarks.Micro;

/// <summary>Taking QMP apart: events, and the answer of a machine with many block nodes.</summary>
[MemoryDiagnoser]
public class QmpBenchmark
{
    private readonly byte[] _event = Encoding.UTF8.GetBytes("""{"timestamp": {"seconds": 1700000000, "microseconds": 123456}, "event": "RESUME"}""" + "\r\n");
    private readonly byte[] _nodes = Encoding.UTF8.GetBytes("{\"return\": [" + string.Join(',', Enumerable.Range(0, 500).Select(i => $$"""{"iops_rd": 0, "image": {"virtual-size": 21474836480, "filename": "/store/layers/{{i:x32}}.qcow2", "cluster-size": 65536, "format": "qcow2"}, "node-name": "st-{{i:x32}}", "ro": true, "drv": "qcow2", "cache": {"no-flush": false, "direct": false, "writeback": true} }""")) + "], \"id\": \"st-1\"}\r\n");
    private readonly QmpParser _parser = new();

    [Benchmark]
    public bool Event() => Parse(_event);

    [Benchmark]
    public bool FiveHundredNodes() => Parse(_nodes);

    private bool Parse(byte[] bytes)
    {
        _parser.Append(bytes);
        return _parser.TryRead(out _);
    }
}
