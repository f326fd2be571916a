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

    /// <summary>What <c>$SNAPSHOTTOOLS_ACCELERATOR</c> asks for: <c>kvm</c>, <c>tcg</c>, or anything else for the best that works.</summary>
    public static Accelerator PreferredAccelerator() => Environment.GetEnvironmentVariable("SNAPSHOTTOOLS_ACCELERATOR")?.ToLowerInvariant() switch
    {
        "kvm" => Accelerator.Kvm,
        "tcg" => Accelerator.Tcg,
        _ => Accelerator.Automatic,
    };

    /// <summary>Whether this process may use KVM, and the processor has what it needs: there are computers, nested ones, that
    /// have /dev/kvm without, and a guest that is started on it never gets anywhere.</summary>
    public static bool CanUseKvm()
    {
        if (!OperatingSystem.IsLinux()) return false;
        try
        {
            if (RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.X86 && !HasVirtualization(File.ReadLines("/proc/cpuinfo"))) return false;
            using var device = File.OpenHandle("/dev/kvm", FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>Whether the processor's flags name Intel's or AMD's virtualization.</summary>
    internal static bool HasVirtualization(IEnumerable<string> cpuInfo) =>
        cpuInfo.FirstOrDefault(line => line.StartsWith("flags", StringComparison.Ordinal)) is { } flags && flags.Split(' ').Any(flag => flag is "vmx" or "svm");
}
