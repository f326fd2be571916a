using System.Globalization;

namespace SnapshotTools.Guest;

/// <summary>
/// The end of a test with a guest that would never end by itself: every QEMU below its run folder is killed, whereupon all
/// that waits for one fails.
/// </summary>
public sealed class GuestLimit : IDisposable
{
    private readonly string _runRoot;
    private readonly Timer _timer;

    /// <summary>Begins to count.</summary>
    /// <param name="runRoot">The folder of the run folders.</param>
    /// <param name="seconds">When it is over; shortly before the time limit of the test by default.</param>
    public GuestLimit(string runRoot, int seconds = GuestFactAttribute.LimitSeconds - 15)
    {
        _runRoot = runRoot;
        _timer = new Timer(_ => KillAll(), null, TimeSpan.FromSeconds(seconds), Timeout.InfiniteTimeSpan);
    }

    /// <summary>Kills every QEMU that has its run folder here.</summary>
    public void KillAll()
    {
        if (!Directory.Exists(_runRoot)) return;
        foreach (string file in Directory.EnumerateFiles(_runRoot, "pid", SearchOption.AllDirectories))
        {
            try
            {
                int id = int.Parse(File.ReadAllText(file).Trim(), CultureInfo.InvariantCulture);
                // The folder's name is in its command line: an id that was given to another process is not touched.
                string command = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{id}/cmdline"));
                if (!command.Contains(Path.GetDirectoryName(file)!, StringComparison.Ordinal)) continue;
                using var process = System.Diagnostics.Process.GetProcessById(id);
                process.Kill();
            }
            catch (Exception e) when (e is IOException or FormatException or ArgumentException or InvalidOperationException or System.ComponentModel.Win32Exception)
            {
                // It has ended.
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();
}
