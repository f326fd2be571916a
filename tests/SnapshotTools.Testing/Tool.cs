using System.Diagnostics;
using System.Text;

namespace SnapshotTools.Testing;

/// <summary>A program of the machine that a test uses as judge or peer, such as qemu-img or e2fsck.</summary>
public static class Tool
{
    private static readonly string[] Folders =
        [.. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator), "/usr/sbin", "/sbin", "/usr/bin", "/bin"];

    /// <summary>The full path of a program, or null where the machine has none.</summary>
    public static string? Find(string name) =>
        Folders.Where(f => f.Length > 0).Select(f => Path.Combine(f, name)).FirstOrDefault(File.Exists);

    /// <summary>Runs a program to its end and returns what it printed; fails on any exit code that is not allowed.</summary>
    public static string Run(string name, IReadOnlyList<string> arguments, params int[] alsoAllowed)
    {
        var (exitCode, output) = TryRun(name, arguments);
        if (exitCode != 0 && !alsoAllowed.Contains(exitCode))
            throw new InvalidOperationException($"{name} {string.Join(' ', arguments)} ended with {exitCode}:\n{output}");
        return output;
    }

    /// <summary>Runs a program to its end and returns its exit code and all that it printed.</summary>
    public static (int ExitCode, string Output) TryRun(string name, IReadOnlyList<string> arguments, int timeoutSeconds = 120)
    {
        string path = Find(name) ?? throw new InvalidOperationException($"This test needs '{name}', which is not on this machine.");
        var start = new ProcessStartInfo(path, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        using var process = new Process { StartInfo = start };
        var output = new StringBuilder();
        void Collect(object _, DataReceivedEventArgs e)
        {
            if (e.Data is null) return;
            lock (output) output.Append(e.Data).Append('\n');
        }
        process.OutputDataReceived += Collect;
        process.ErrorDataReceived += Collect;
        process.Start();
        process.StandardInput.Close();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        if (!process.WaitForExit(timeoutSeconds * 1000))
        {
            process.Kill();
            throw new TimeoutException($"{name} {string.Join(' ', arguments)} did not end within {timeoutSeconds} s.");
        }
        // Its output may be held open by a process that it left behind; nobody waits for that.
        using var drain = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        try
        {
            process.WaitForExitAsync(drain.Token).GetAwaiter().GetResult();
        }
        catch (OperationCanceledException)
        {
        }
        lock (output) return (process.ExitCode, output.ToString());
    }
}
