using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using SnapshotTools.Testing;

namespace SnapshotTools.Cmdlet.Tests.Engine;

/// <summary>
/// PowerShell as users have it: a program named pwsh. Where the machine has none, one is made of the SDK's own launcher, which runs the
/// PowerShell that build/pwsh has prepared.
/// </summary>
internal sealed class PwshHost
{
    private const string Placeholder = "c3ab8ff13720e8ad9047dd39466b3c8974e592c2fa383d4a3960714caef0c4f2";    // where the launcher is told what to run

    private static readonly string DotnetRoot = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));

    /// <summary>Finds or makes it.</summary>
    /// <param name="folder">An empty folder for it.</param>
    public PwshHost(string folder)
    {
        string[] answer = Tool.Run("bash", [Repository.Pwsh, "-NoProfile", "-NonInteractive", "-Command", "[Environment]::ProcessPath; $PSHOME"]).Trim().Split('\n');
        Program = Path.GetFileName(answer[0]) == "pwsh" ? answer[0] : Make(Path.Combine(folder, "pwsh"), Path.Combine(answer[1], "pwsh.dll"));
    }

    /// <summary>The program.</summary>
    public string Program { get; }

    /// <summary>Starts a script; its output and errors can be read, and it reads what it is written.</summary>
    public Process Start(string script, IReadOnlyDictionary<string, string> environment)
    {
        var start = new ProcessStartInfo(Program, ["-NoLogo", "-NoProfile", "-NonInteractive", "-Command", script])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["DOTNET_ROOT"] = DotnetRoot;
        start.Environment["NO_COLOR"] = "1";
        foreach (var (name, value) in environment) start.Environment[name] = value;
        return Process.Start(start)!;
    }

    private static string Make(string path, string library)
    {
        byte[] launcher = File.ReadAllBytes(Directory.GetFiles(Path.Combine(DotnetRoot, "sdk"), "apphost", SearchOption.AllDirectories)[^1]);
        int at = launcher.AsSpan().IndexOf(Encoding.ASCII.GetBytes(Placeholder));
        byte[] target = Encoding.UTF8.GetBytes(Path.GetRelativePath(Path.GetDirectoryName(path)!, library));
        launcher.AsSpan(at, Math.Max(target.Length + 1, Placeholder.Length)).Clear();
        target.CopyTo(launcher.AsSpan(at));
        File.WriteAllBytes(path, launcher);
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return path;
    }
}
