namespace SnapshotTools.Core;

/// <summary>The PowerShell that runs this process, for what must live on beside it or after it.</summary>
public static class PowerShellProgram
{
    /// <summary>The command that starts it once more: its own program where that is one, else what lies in its folder.</summary>
    /// <param name="home">PowerShell's folder: <c>$PSHOME</c>, which usually is the application's.</param>
    /// <returns>The program and its first arguments; null when there is no PowerShell in that folder.</returns>
    public static string[]? Find(string home)
    {
        if (Environment.ProcessPath is { } own && Path.GetFileNameWithoutExtension(own).StartsWith("pwsh", StringComparison.OrdinalIgnoreCase)) return [own];
        string beside = Path.Combine(home, OperatingSystem.IsWindows() ? "pwsh.exe" : "pwsh");
        if (File.Exists(beside)) return [beside];
        // PowerShell as a library of dotnet's.
        string main = Path.Combine(home, "pwsh.dll");
        return Environment.ProcessPath is { } host && File.Exists(main) ? [host, main] : null;
    }
}
