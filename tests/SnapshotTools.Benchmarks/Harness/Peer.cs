using SnapshotTools.Testing;

namespace SnapshotTools.Benchmarks.Harness;

/// <summary>Programs of the machine that are measured, or that make files for measuring.</summary>
internal static class Peer
{
    /// <summary>Runs a program to its end; its output is thrown away, its failure is ours.</summary>
    public static void Run(string tool, params IReadOnlyList<string> arguments) => RunWith(null, tool, arguments);

    /// <summary>The same with a file as its input.</summary>
    public static void RunWith(string? input, string tool, params IReadOnlyList<string> arguments)
    {
        int exitCode = Native.Wait(Native.Spawn(PathOf(tool), arguments, input));
        if (exitCode != 0) throw new InvalidOperationException($"{tool} {string.Join(' ', arguments)} ended with {exitCode}");
    }

    /// <summary>Runs several at once.</summary>
    public static void RunAll(string tool, IReadOnlyList<IReadOnlyList<string>> calls)
    {
        string path = PathOf(tool);
        int[] running = [.. calls.Select(c => Native.Spawn(path, c, null))];
        int[] codes = [.. running.Select(r => Native.Wait(r))];
        int failed = Array.FindIndex(codes, c => c != 0);
        if (failed >= 0) throw new InvalidOperationException($"{tool} {string.Join(' ', calls[failed])} ended with {codes[failed]}");
    }

    private static string PathOf(string tool) => Tool.Find(tool) ?? throw new NotHereException($"not on this machine: {tool}");
}
