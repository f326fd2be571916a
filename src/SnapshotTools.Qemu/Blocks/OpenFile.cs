using System.Globalization;
using System.Runtime.InteropServices;
using SnapshotTools.Qemu.Launch;

namespace SnapshotTools.Qemu.Blocks;

/// <summary>A file that a process has open, as Linux tells of it (proc_pid_fd(5), proc_pid_fdinfo(5)).</summary>
/// <param name="Path">Its absolute path.</param>
/// <param name="Descriptor">Its number in the process.</param>
/// <param name="ProcessId">The process.</param>
internal sealed record OpenFile(string Path, string Descriptor, int ProcessId)
{
    // O_DIRECT, in asm/fcntl.h of each architecture.
    private static readonly long? DirectFlag = RuntimeInformation.OSArchitecture switch
    {
        Architecture.X64 => 0x4000,
        Architecture.Arm64 => 0x10000,
        _ => null,
    };

    /// <summary>What a process has open; nothing where that cannot be told.</summary>
    public static IReadOnlyList<OpenFile> Of(ProcessIdentity? process)
    {
        if (process is null || !OperatingSystem.IsLinux()) return [];
        try
        {
            string folder = string.Create(CultureInfo.InvariantCulture, $"/proc/{process.Id}/fd");
            return [.. Directory.EnumerateFileSystemEntries(folder)
                .Select(f => new OpenFile(new FileInfo(f).LinkTarget ?? "", System.IO.Path.GetFileName(f), process.Id)).Where(f => System.IO.Path.IsPathRooted(f.Path))];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>Whether it is read and written past the page cache (O_DIRECT); null where that cannot be told.</summary>
    public bool? BypassesPageCache()
    {
        if (DirectFlag is not { } direct) return null;
        try
        {
            string? line = File.ReadLines(string.Create(CultureInfo.InvariantCulture, $"/proc/{ProcessId}/fdinfo/{Descriptor}")).FirstOrDefault(l => l.StartsWith("flags:", StringComparison.Ordinal));
            return line is null ? null : (Convert.ToInt64(line["flags:".Length..].Trim(), 8) & direct) != 0;   // octal digits
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
