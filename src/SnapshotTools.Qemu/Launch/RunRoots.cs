namespace SnapshotTools.Qemu.Launch;

/// <summary>
/// The folders in which the run folders of a user's machines are. Sessions of one user differ in their environment: one that cron started has no
/// <c>XDG_RUNTIME_DIR</c>. Each starts machines in the first of its folders, and looks for them in all.
/// </summary>
public static class RunRoots
{
    private const string Name = "snapshottools";

    /// <summary>Those of the user of this process: <c>$SNAPSHOTTOOLS_RUN</c>; below <c>/run</c> for root, below <c>$XDG_RUNTIME_DIR</c> and
    /// <c>/run/user</c> for others; the folder for temporary files where there is none of these.</summary>
    public static IReadOnlyList<string> OfThisUser() => For(
        Environment.GetEnvironmentVariable, OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, OperatingSystem.IsLinux() ? UserId() : null, Directory.Exists);

    /// <summary>Those of a user.</summary>
    /// <param name="environment">Gives a variable of the session.</param>
    /// <param name="isRoot">Whether it is root.</param>
    /// <param name="userId">Its number, where users have one.</param>
    /// <param name="exists">Whether there is a folder.</param>
    internal static IReadOnlyList<string> For(Func<string, string?> environment, bool isRoot, string? userId, Func<string, bool> exists)
    {
        var roots = new List<string>();
        if (environment("SNAPSHOTTOOLS_RUN") is { Length: > 0 } named) roots.Add(named);
        if (isRoot && exists("/run")) roots.Add($"/run/{Name}");
        else
        {
            if (environment("XDG_RUNTIME_DIR") is { Length: > 0 } runtime) roots.Add(Path.Combine(runtime, Name));
            // Where the variable leads when a session has it. It is there while some session of the user is.
            if (userId is not null && exists($"/run/user/{userId}")) roots.Add($"/run/user/{userId}/{Name}");
            roots.Add(Path.Combine(Path.GetTempPath(), $"{Name}-{Environment.UserName}"));
        }
        return [.. roots.Distinct()];
    }

    /// <summary>The number of this process's user (proc(5), the line Uid of its status).</summary>
    private static string? UserId()
    {
        try
        {
            return File.ReadLines("/proc/self/status").FirstOrDefault(l => l.StartsWith("Uid:", StringComparison.Ordinal))?.Split('\t', StringSplitOptions.RemoveEmptyEntries)[1];
        }
        catch (IOException)
        {
            return null;
        }
    }
}
