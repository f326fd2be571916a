using System.Runtime.InteropServices;

namespace SnapshotTools.Qemu.Launch;

/// <summary>Where QEMU is on this machine, and what it can use.</summary>
public static class QemuProgram
{
    /// <summary>The emulator for this processor: <c>$SNAPSHOTTOOLS_QEMU</c>, else <c>qemu-system-…</c> or <c>qemu-kvm</c> from the
    /// search path and where distributions hide it; null when there is none.</summary>
    public static string? Find()
    {
        if (Environment.GetEnvironmentVariable("SNAPSHOTTOOLS_QEMU") is { Length: > 0 } named) return File.Exists(named) ? named : null;
        string processor = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? "aarch64" : "x86_64";
        string suffix = OperatingSystem.IsWindows() ? ".exe" : "";
        string[] folders = [.. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(System.IO.Path.PathSeparator), "/usr/bin", "/usr/libexec", "/usr/local/bin"];
        return new[] { $"qemu-system-{processor}{suffix}", "qemu-kvm" }
            .SelectMany(name => folders.Where(f => f.Length > 0).Select(f => System.IO.Path.Combine(f, name)))
            .FirstOrDefault(File.Exists);
    }

    /// <summary>Whether this process may use KVM.</summary>
    public static bool CanUseKvm()
    {
        if (!OperatingSystem.IsLinux()) return false;
        try
        {
            using var device = File.OpenHandle("/dev/kvm", FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
