using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.NoEmit;

namespace SnapshotTools.Benchmarks.Micro;

/// <summary>Runs the benchmarks of single methods, with BenchmarkDotNet.</summary>
internal static class MicroBenchmarks
{
    public static int Run(string folder, string? filter, bool isShort)
    {
        var job = (isShort ? Job.Dry.WithIterationCount(3).WithWarmupCount(1) : Job.ShortRun).WithToolchain(InProcessNoEmitToolchain.Instance);
        var config = ManualConfig.Create(DefaultConfig.Instance).AddJob(job).WithArtifactsPath(Path.GetFullPath(Path.Combine(folder, "micro"))).WithOptions(ConfigOptions.DisableOptimizationsValidator);
        var summaries = BenchmarkSwitcher.FromTypes([typeof(MappingBenchmark), typeof(AllocationBenchmark), typeof(QmpBenchmark)]).Run(["--filter", filter ?? "*"], config);
        return summaries.Any(s => s.HasCriticalValidationErrors || s.Reports.Any(r => !r.Success)) ? 1 : 0;
    }
}
