using System.Diagnostics;

namespace SnapshotTools.Cmdlet.Driver;

/// <summary>Kills the process (SIGKILL) at a step of what it does, on the thread that takes the step.</summary>
public static class KillAt
{
    /// <summary>What looks for the step.</summary>
    /// <param name="step">A part of what is told of the step.</param>
    /// <param name="note">A file for the command lines of this process's children at that moment.</param>
    public static Action<string> Step(string step, string note) => line =>
    {
        if (!line.Contains(step, StringComparison.Ordinal)) return;
        File.WriteAllLines(note, Children());
        Process.GetCurrentProcess().Kill();
        Thread.Sleep(Timeout.Infinite);
    };

    private static List<string> Children()
    {
        var children = new List<string>();
        foreach (string folder in Directory.GetDirectories("/proc").Where(d => int.TryParse(Path.GetFileName(d), out _)))
        {
            try
            {
                string parent = File.ReadAllText(Path.Combine(folder, "stat")).Split(") ")[^1].Split(' ')[1];
                if (parent == $"{Environment.ProcessId}") children.Add(File.ReadAllText(Path.Combine(folder, "cmdline")).Replace('\0', ' '));
            }
            catch (IOException)
            {
                // It has ended.
            }
        }
        return children;
    }
}
