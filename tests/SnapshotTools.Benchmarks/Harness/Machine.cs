using System.Globalization;
using System.Runtime.InteropServices;
using SnapshotTools.Core;
using SnapshotTools.Testing;

namespace SnapshotTools.Benchmarks.Harness;

/// <summary>What the figures were measured on.</summary>
/// <param name="Processor">The processor's name and the number of its cores.</param>
/// <param name="MemoryBytes">Memory.</param>
/// <param name="FileSystem">Kind and options of the file system that was worked on.</param>
/// <param name="System">Operating system and kernel.</param>
/// <param name="Versions">Versions of what was measured.</param>
/// <param name="Load">Load average when the run began and when it ended.</param>
public sealed record Machine(string Processor, long MemoryBytes, string FileSystem, string System, IReadOnlyList<string> Versions, string Load)
{
    /// <summary>Looks at this machine.</summary>
    public static Machine Describe(string workFolder)
    {
        string model = First("/proc/cpuinfo", "model name") ?? RuntimeInformation.ProcessArchitecture.ToString();
        return new Machine(
            $"{model}, {Environment.ProcessorCount} cores", GC.GetGCMemoryInfo().TotalAvailableMemoryBytes, FileSystemOf(workFolder),
            $"{First("/etc/os-release", "PRETTY_NAME")?.Trim('"') ?? RuntimeInformation.OSDescription}, kernel {Environment.OSVersion.Version}",
            [.. FindVersions()], LoadNow());
    }

    /// <summary>The load average of the last minute: on a quiet machine below 0.2 before the run.</summary>
    public static string LoadNow() => File.Exists("/proc/loadavg") ? File.ReadAllText("/proc/loadavg").Split(' ')[0] : "unknown";

    private static IEnumerable<string> FindVersions()
    {
        yield return $"SnapshotTools {typeof(SnapshotEngine).Assembly.GetName().Version?.ToString(3)}";
        yield return RuntimeInformation.FrameworkDescription;
        foreach (string tool in new[] { "qemu-img", "qemu-system-x86_64", "libvirtd", "cp" })
            if (Tool.Find(tool) is not null) yield return Tool.Run(tool, ["--version"]).Split('\n')[0];
    }

    private static string FileSystemOf(string folder)
    {
        string path = Path.GetFullPath(folder);
        var mounts = File.ReadLines("/proc/mounts").Select(l => l.Split(' '));
        var mount = mounts.Where(m => m[1] == "/" || path == m[1] || path.StartsWith(m[1] + "/", StringComparison.Ordinal)).MaxBy(m => m[1].Length);
        return mount is null ? "unknown" : string.Create(CultureInfo.InvariantCulture, $"{mount[2]} ({mount[3]})");
    }

    private static string? First(string file, string key) => !File.Exists(file) ? null
        : File.ReadLines(file).Select(l => l.Split([':', '='], 2)).FirstOrDefault(p => p.Length == 2 && p[0].Trim() == key)?[1].Trim();
}
