using SnapshotTools.Testing;

namespace SnapshotTools.Benchmarks.Harness;

/// <summary>Programs of the machine that are measured, or that make files for measuring.</summary>
internal static class Peer
{
    /// <summary>Runs a program to its end; its output is thrown away, its failure is ours. Gives the most memory that it had, in bytes.</summary>
    public static long Run(string tool, params IReadOnlyList<string> arguments) => RunWith(null, tool, arguments);

    /// <summary>The same with a file as its input.</summary>
    public static long RunWith(string? input, string tool, params IReadOnlyList<string> arguments)
    {
        var (exitCode, peak) = Native.Wait(Native.Spawn(PathOf(tool), arguments, input));
        return exitCode == 0 ? peak : throw new InvalidOperationException($"{tool} {string.Join(' ', arguments)} ended with {exitCode}");
    }

    /// <summary>Runs several at once.</summary>
    public static void RunAll(string tool, IReadOnlyList<IReadOnlyList<string>> calls)
    {
        string path = PathOf(tool);
        int[] running = [.. calls.Select(c => Native.Spawn(path, c, null))];
        int[] codes = [.. running.Select(r => Native.Wait(r).ExitCode)];
        int failed = Array.FindIndex(codes, c => c != 0);
        if (failed >= 0) throw new InvalidOperationException($"{tool} {string.Join(' ', calls[failed])} ended with {codes[failed]}");
    }

    private static string PathOf(string tool) => Tool.Find(tool) ?? throw new NotHereException($"not on this machine: {tool}");
}
