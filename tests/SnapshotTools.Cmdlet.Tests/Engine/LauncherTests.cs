using System.Diagnostics;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests.Engine;

/// <summary>build/pwsh in a checkout of its own, with stand-ins for npm, dotnet and pwsh that write down how they are called.</summary>
public sealed class LauncherTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly string _bin;
    private readonly string _pwsh;

    public LauncherTests()
    {
        string build = Directory.CreateDirectory(Path.Combine(_folder.Path, "checkout", "build", "PwshEngine", "Unix")).Parent!.Parent!.FullName;
        _pwsh = Path.Combine(build, "pwsh");
        File.Copy(Repository.Pwsh, _pwsh);
        foreach (string source in new[] { "PwshEngine.csproj", "Program.cs", "Unix/Session.cs" }) File.WriteAllText(Path.Combine(build, "PwshEngine", source), "recipe");
        _bin = Directory.CreateDirectory(_folder.File("bin")).FullName;
        StandIn("npm", """echo x >package.tgz; [ -z "$NPM_WAITS" ] || { touch "$LOG.waits"; sleep 600; }; [ -z "$NPM_FAILS" ] || { echo "no network" >&2; exit 1; }""");
        StandIn("dotnet", """
            case $1 in
              build) ;;
              */PwshEngine.dll) mkdir "$4"; touch "$4/pwsh.dll" ;;
              */pwsh.dll) shift; echo "engine: $*" ;;
            esac
            """);
    }

    private string Cache => Path.Combine(_folder.Path, "checkout", ".pwsh");

    private string Log => _folder.File("log");

    [Fact]
    public void The_first_call_prepares_and_says_so_in_one_line_the_next_only_runs()
    {
        var first = Run("-NoProfile", "-Command", "two words");
        var second = Run("x");

        Assert.Equal((0, "engine: -NoProfile -Command two words\n"), (first.ExitCode, first.Output));
        Assert.Equal(1, first.Error.Count(c => c == '\n'));
        Assert.Contains("preparing", first.Error, StringComparison.Ordinal);
        Assert.Equal((0, "engine: x\n", ""), (second.ExitCode, second.Output, second.Error));
        Assert.Equal(1, Calls("npm"));
    }

    [Fact]
    public void Callers_at_one_time_prepare_once()
    {
        var all = Enumerable.Range(0, 4).AsParallel().WithDegreeOfParallelism(4).Select(i => Run($"{i}")).ToList();

        Assert.All(all, r => Assert.Equal(0, r.ExitCode));
        Assert.Equal(4, all.Select(r => r.Output).Distinct().Count());
        Assert.Equal(1, Calls("npm"));
    }

    [Fact]
    public void A_kill_in_the_middle_leaves_nothing_that_the_next_call_minds()
    {
        using (var killed = Start(["x"], ("NPM_WAITS", "1")))
        {
            Assert.True(SpinWait.SpinUntil(() => File.Exists(Log + ".waits"), TimeSpan.FromSeconds(60)));
            killed.Kill(entireProcessTree: true);
            killed.WaitForExit();
        }

        Assert.Equal((0, "engine: y\n"), (Run("y").ExitCode, Run("y").Output));
        Assert.Empty(Directory.GetDirectories(Cache, "prepare.*"));
    }

    [Fact]
    public void A_failure_is_told_and_leaves_nothing_behind()
    {
        var result = Run(["x"], ("NPM_FAILS", "1"));

        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("no network", result.Error, StringComparison.Ordinal);
        Assert.Contains("failed: npm pack", result.Error, StringComparison.Ordinal);
        Assert.Empty(Directory.GetDirectories(Cache));
        Assert.Equal(0, Run("x").ExitCode);
    }

    [Fact]
    public void A_changed_recipe_prepares_anew()
    {
        Run("x");
        File.AppendAllText(Path.Combine(Path.GetDirectoryName(_pwsh)!, "PwshEngine", "Unix", "Session.cs"), "changed");

        Assert.Contains("preparing", Run("x").Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("7.6.0", true)]
    [InlineData("7.7.0-preview.1", true)]
    [InlineData("8.0.0", true)]
    [InlineData("7.5.4", false)]
    public void The_machines_own_pwsh_is_used_when_it_is_new_enough(string version, bool used)
    {
        StandIn("pwsh", $"if [ \"$1\" = --version ]; then echo 'PowerShell {version}'; else echo \"own: $*\"; fi");

        Assert.Equal(used ? "own: x\n" : "engine: x\n", Run("x").Output);
        Assert.Equal(used ? "own: x\n" : "engine: x\n", Run("x").Output);
        Assert.Equal(used ? 3 : 1, Calls("pwsh"));      // its version is asked for once
    }

    public void Dispose() => _folder.Dispose();

    private (int ExitCode, string Output, string Error) Run(params string[] arguments) => Run(arguments, []);

    private (int ExitCode, string Output, string Error) Run(string[] arguments, params (string Name, string Value)[] environment)
    {
        using var process = Start(arguments, environment);
        var error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.Result);
    }

    private Process Start(string[] arguments, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(_pwsh, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["PATH"] = $"{_bin}:/usr/bin:/bin";
        start.Environment["LOG"] = Log;
        foreach (var (name, value) in environment) start.Environment[name] = value;
        return Process.Start(start)!;
    }

    private int Calls(string program) => File.ReadAllLines(Log).Count(l => l == program);

    private void StandIn(string name, string script)
    {
        string path = Path.Combine(_bin, name);
        File.WriteAllText(path, $"#!/bin/bash\necho {name} >>\"$LOG\"\n{script}\n");
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }
}
