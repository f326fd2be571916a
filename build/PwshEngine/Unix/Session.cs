using System.Diagnostics;

namespace PwshEngine.Unix;

/// <summary>What a session starts with: folders, aliases, functions, the way arguments reach programs.</summary>
public static class Session
{
    private static readonly string Home = Environment.GetEnvironmentVariable("HOME") is { Length: > 0 } home ? home : Path.GetTempPath();

    /// <summary>Commands of Unix that the Windows build hides behind aliases.</summary>
    private static readonly HashSet<string> Hidden = new(StringComparer.OrdinalIgnoreCase)
    {
        "ac", "cat", "clear", "compare", "cp", "cpp", "diff", "gin", "gsv", "kill", "ls", "man", "mount", "mv", "ps", "rm", "rmdir", "sasv", "sleep", "sort",
        "spsv", "start", "tee", "write", "shcm", "ogv", "rsn", "asnp", "gsnp", "rsnp", "sc", "gcb", "scb", "gwmi", "icim",
    };

    /// <summary>The folders of the XDG convention in place of those of a Windows profile.</summary>
    [Replaces("Platform.SafeDeriveFromSpecialFolder")]
    public static string Folder(Environment.SpecialFolder folder, string subPath) => folder == Environment.SpecialFolder.LocalApplicationData
        ? Path.Combine(Xdg("XDG_CACHE_HOME", ".cache"), "powershell")
        : Path.Combine(Xdg("XDG_CONFIG_HOME", ".config"), "powershell");

    /// <summary>Where a user's modules are.</summary>
    [Replaces("ModuleIntrinsics.GetPersonalModulePath")]
    public static string PersonalModules() => Path.Combine(Xdg("XDG_DATA_HOME", ".local/share"), "powershell", "Modules");

    /// <summary>Where the machine's modules are.</summary>
    [Replaces("ModuleIntrinsics.GetSharedModulePath")]
    public static string SharedModules() => "/usr/local/share/powershell/Modules";

    /// <summary>Where the modules of PowerShell itself are. The Windows build changes the path to lower case.</summary>
    [Replaces("ModuleIntrinsics.GetPSHomeModulePath")]
    public static string HomeModules() => Path.Combine(AppContext.BaseDirectory, "Modules");

    /// <summary>There is one environment only. The Windows build completes the process's PSModulePath when it equals the user's, so the user's is empty.</summary>
    [Replaces("ModuleIntrinsics.GetExpandedEnvironmentVariable")]
    public static string? Variable(string name, EnvironmentVariableTarget target) =>
        target == EnvironmentVariableTarget.Process ? Environment.GetEnvironmentVariable(name) : "";

    /// <summary>The home folder has another name in the environment.</summary>
    [ReplacesCall("Environment.GetEnvironmentVariable")]
    public static string? Variable(string name) => name == "USERPROFILE" ? Home : Environment.GetEnvironmentVariable(name);

    /// <summary>Unix has permissions in place of administrators, so PowerShell checks nothing there.</summary>
    [Replaces("Utils.IsAdministrator")]
    public static bool IsAdministrator() => true;

    /// <summary>NativeArgumentPassingStyle.Standard.</summary>
    [Replaces("InitialSessionState.GetPassingStyle")]
    public static int ArgumentPassing() => 1;

    /// <summary>Clears the screen and what can be scrolled back to.</summary>
    [Replaces("InitialSessionState.GetClearHostFunctionText")]
    public static string ClearHost() => """[Console]::Write("`e[H`e[2J`e[3J")""";

    /// <summary>The aliases that hide no command of Unix.</summary>
    [Filters("InitialSessionState.get_BuiltInAliases")]
    public static object[] Aliases(object[] all)
    {
        ArgumentNullException.ThrowIfNull(all);
        var name = all[0].GetType().GetProperty("Name")!;
        object[] kept = [.. all.Where(a => !Hidden.Contains((string)name.GetValue(a)!))];
        var result = Array.CreateInstance(all[0].GetType(), kept.Length);
        kept.CopyTo(result, 0);
        return (object[])result;
    }

    /// <summary>The server side of a job asks for the Windows account it runs under.</summary>
    [ReplacesCall("WindowsIdentity.GetCurrent")]
    public static object? Account() => null;

    /// <summary>The name of that account.</summary>
    [ReplacesCall("ClaimsIdentity.get_Name")]
    public static string AccountName(object? account) => Environment.UserName;

    /// <summary>A setting that only Windows has.</summary>
    [ReplacesCall("ProcessStartInfo.set_LoadUserProfile")]
    public static void LoadUserProfile(ProcessStartInfo info, bool value)
    {
    }

    private static string Xdg(string variable, string otherwise) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } folder ? folder : Path.Combine(Home, otherwise);
}
