using System.Diagnostics;
using System.Globalization;
using SnapshotTools.Testing;

namespace SnapshotTools.Benchmarks.Harness;

/// <summary>
/// A libvirtd of our own in its session mode, with all that it keeps in a folder of ours; the machine's own, if there is one,
/// is not asked and sees nothing. As root would be a system's libvirtd, it runs as another user then.
/// </summary>
internal sealed class PrivateLibvirt : IDisposable
{
    private const int StartSeconds = 30, EndSeconds = 20;
    private const string OtherUser = "65534";

    private readonly string _folder;
    private readonly Timer _limit;
    private Process? _daemon;

    /// <summary>Starts it.</summary>
    /// <param name="folder">An empty folder with a short path, which must be open to all users.</param>
    /// <param name="limitSeconds">After so long all of it is ended, whereupon all that waits for it fails.</param>
    public PrivateLibvirt(string folder, int limitSeconds)
    {
        RowRun.Require("virsh", "libvirtd");
        if (Environment.IsPrivilegedProcess) RowRun.Require("setpriv");
        _folder = folder;
        foreach (string name in new[] { "home", "run", "config", "config/libvirt", "cache" }) OpenToAll(Directory.CreateDirectory(Path.Combine(folder, name)).FullName);
        File.WriteAllText(Path.Combine(folder, "config/libvirt/qemu.conf"), "stdio_handler = \"file\"\n");
        File.WriteAllText(Path.Combine(folder, "config/libvirt/libvirtd.conf"), $"log_outputs = \"3:file:{LogFile}\"\n");
        _limit = new Timer(_ => Kill(), null, TimeSpan.FromSeconds(limitSeconds), Timeout.InfiniteTimeSpan);
        try
        {
            Start();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    private string Run => Path.Combine(_folder, "run");

    private string LogFile => Path.Combine(_folder, "home", "libvirtd.log");

    private string Socket => Path.Combine(Run, "libvirt", "libvirt-sock");

    /// <summary>Lets any user, libvirtd's among them, write to a file or make files in a folder.</summary>
    public static void OpenToAll(string path)
    {
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(path, (UnixFileMode)(Directory.Exists(path) ? 0b111_111_111 : 0b110_110_110));
    }

    /// <summary>Refuses a place that another user cannot reach.</summary>
    public static void RequireReach(string folder)
    {
        if (OperatingSystem.IsWindows() || !Environment.IsPrivilegedProcess) return;
        for (string? parent = Path.GetDirectoryName(folder); parent is not null; parent = Path.GetDirectoryName(parent))
            if (!File.GetUnixFileMode(parent).HasFlag(UnixFileMode.OtherExecute))
                throw new NotHereException($"libvirt runs as another user than root here, who cannot reach '{parent}': choose another place with --work");
    }

    /// <summary>Runs virsh to its end.</summary>
    public void Virsh(params IReadOnlyList<string> arguments)
    {
        try
        {
            Peer.Run("virsh", ["-q", "-c", $"qemu:///session?socket={Socket}", .. arguments]);
        }
        catch (InvalidOperationException e) when (File.Exists(LogFile))
        {
            throw new InvalidOperationException($"{e.Message}; libvirtd's last words: {string.Join(" | ", File.ReadLines(LogFile).TakeLast(3))}", e);
        }
    }

    public void Dispose()
    {
        _limit.Dispose();
        Kill();
        _daemon?.WaitForExit(TimeSpan.FromSeconds(EndSeconds));
        _daemon?.Dispose();
    }

    private void Start()
    {
        string[] command = [Tool.Find("libvirtd")!];
        if (Environment.IsPrivilegedProcess) command = [Tool.Find("setpriv")!, $"--reuid={OtherUser}", $"--regid={OtherUser}", "--clear-groups", .. command];
        var start = new ProcessStartInfo(command[0], command[1..]) { WorkingDirectory = _folder };
        start.Environment.Clear();
        foreach (var (name, value) in new[] { ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("LANG", "C"), ("HOME", "home"), ("XDG_DATA_HOME", "home"), ("XDG_RUNTIME_DIR", "run"), ("XDG_CONFIG_HOME", "config"), ("XDG_CACHE_HOME", "cache") })
            start.Environment[name] = name is "PATH" or "LANG" ? value : Path.Combine(_folder, value);
        _daemon = Process.Start(start)!;
        var clock = Stopwatch.StartNew();
        while (!File.Exists(Socket))
        {
            if (_daemon.HasExited || clock.Elapsed.TotalSeconds > StartSeconds) throw new InvalidOperationException($"libvirtd did not start{(File.Exists(LogFile) ? ": " + File.ReadAllText(LogFile) : ".")}");
            Thread.Sleep(20);
        }
    }

    // The guests first: libvirtd leaves them running when it ends.
    private void Kill()
    {
        string guests = Path.Combine(Run, "libvirt", "qemu", "run");
        foreach (string file in Directory.Exists(guests) ? Directory.GetFiles(guests, "*.pid") : [])
        {
            try
            {
                int id = int.Parse(File.ReadAllText(file).Trim(), CultureInfo.InvariantCulture);
                // The folder's name is in its command line: an id that was given to another process is not touched.
                if (!File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{id}/cmdline")).Contains(_folder, StringComparison.Ordinal)) continue;
                using var process = Process.GetProcessById(id);
                process.Kill();
                process.WaitForExit(TimeSpan.FromSeconds(EndSeconds));
            }
            catch (Exception e) when (e is IOException or FormatException or ArgumentException or InvalidOperationException or System.ComponentModel.Win32Exception)
            {
                // It has ended.
            }
        }
        if (_daemon is { HasExited: false }) _daemon.Kill();
    }
}
