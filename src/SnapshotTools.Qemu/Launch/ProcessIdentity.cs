using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SnapshotTools.Qemu.Launch;

/// <summary>
/// One process and no other: the id alone is given to another process some day, the id with the time of its start is not.
/// </summary>
/// <param name="Id">The process id.</param>
/// <param name="StartedAt">When it started, in the system's own count: on Linux clock ticks since the boot named by <paramref name="Boot"/>.</param>
/// <param name="Boot">The boot of the machine that the count belongs to.</param>
public sealed partial record ProcessIdentity(int Id, long StartedAt, string Boot)
{
    private const int SigKill = 9;
    private const int PidFdOpen = 434;
    private const int PidFdSendSignal = 424;

    /// <summary>The identity of a process, or null when there is none with this id, or nothing is left of it but a zombie.</summary>
    public static ProcessIdentity? Of(int id)
    {
        if (id <= 0) return null;
        return OperatingSystem.IsLinux() ? OfLinux(id) : OfOthers(id);
    }

    /// <summary>Whether the process still runs.</summary>
    public bool IsAlive => Of(Id) == this;

    /// <summary>Ends the process at once (SIGKILL); does nothing when it has ended already. A process that has been
    /// given the same id meanwhile is not touched.</summary>
    public void Kill()
    {
        if (OperatingSystem.IsLinux())
        {
            using var pinned = Pin();
            if (pinned is not null) SystemCall(PidFdSendSignal, pinned.DangerousGetHandle(), SigKill, 0, 0);
            return;
        }
        try
        {
            using var process = Process.GetProcessById(Id);
            if (IsAlive) process.Kill();
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException)
        {
        }
    }

    /// <summary>A descriptor of the process (pidfd_open(2), Linux); null when it has ended. What is alive behind it when that is checked is what is
    /// meant by it ever after.</summary>
    internal SafeFileHandle? Pin()
    {
        var pinned = new SafeFileHandle(SystemCall(PidFdOpen, Id, 0, 0, 0), ownsHandle: true);
        if (!pinned.IsInvalid && IsAlive) return pinned;
        pinned.Dispose();
        return null;
    }

    /// <summary>Waits until the process has ended.</summary>
    /// <returns>False when it did not end in time.</returns>
    public async Task<bool> WaitForExitAsync(TimeSpan timeout, CancellationToken cancellation = default)
    {
        // The process is nobody's child here, so there is nothing to be woken by.
        long begun = Stopwatch.GetTimestamp();
        for (var pause = TimeSpan.FromMilliseconds(2); IsAlive; pause = pause < TimeSpan.FromMilliseconds(100) ? pause * 2 : pause)
        {
            if (Stopwatch.GetElapsedTime(begun) > timeout) return false;
            await Task.Delay(pause, cancellation).ConfigureAwait(false);
        }
        return true;
    }

    private static ProcessIdentity? OfLinux(int id)
    {
        string stat;
        try
        {
            stat = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{id}/stat"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
        // proc(5): the name in parentheses may hold anything, so count from its end: state is field 3, num_threads field 20, starttime field 22.
        string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        // One that was killed is a zombie as soon as its first thread has ended; the others hold its files, and their locks, a moment longer.
        if (fields[0] == "X" || (fields[0] == "Z" && fields[17] == "1")) return null;
        return new ProcessIdentity(id, long.Parse(fields[19], CultureInfo.InvariantCulture), BootId.Value);
    }

    private static ProcessIdentity? OfOthers(int id)
    {
        try
        {
            using var process = Process.GetProcessById(id);
            return process.HasExited ? null : new ProcessIdentity(id, process.StartTime.ToUniversalTime().Ticks, "");
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }

    private static readonly Lazy<string> BootId = new(() => File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim());

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint SystemCall(nint number, nint first, nint second, nint third, nint fourth);
}
