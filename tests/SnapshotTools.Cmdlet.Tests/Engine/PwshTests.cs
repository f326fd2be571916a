using System.Diagnostics;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests.Engine;

/// <summary>That the PowerShell of build/pwsh, prepared or the machine's own, does what its users expect of one on Unix.</summary>
public sealed class PwshTests
{
    [Fact]
    public void A_session_knows_where_it_is()
    {
        using var folder = new TempFolder();
        string script = folder.File("where.ps1");
        File.WriteAllText(script, """
            "$IsLinux $IsWindows" -eq "$([OperatingSystem]::IsLinux()) $([OperatingSystem]::IsWindows())"
            $HOME -eq [Environment]::GetEnvironmentVariable('HOME')
            Test-Path "$PSHOME/Modules/Microsoft.PowerShell.Utility/Microsoft.PowerShell.Utility.psd1"
            ($env:PSModulePath -split ':') -contains "$PSHOME/Modules"
            ($env:PSModulePath -split ':') -notcontains ''
            $PSScriptRoot -eq (Split-Path $PSCommandPath)
            (Get-Command ls).CommandType -eq 'Application'
            """);

        Assert.Equal(Enumerable.Repeat("True", 7), Run("-File", script));
    }

    [Fact]
    public void Modules_load_by_themselves()
    {
        using var folder = new TempFolder();
        Directory.CreateDirectory(folder.File("Greeter"));
        File.WriteAllText(folder.File("Greeter/Greeter.psm1"), "function Get-Greeting { 'hello' }");

        Assert.Equal(["hello"], Run("-Command", $"$env:PSModulePath += ':{folder.Path}'; Get-Greeting"));
    }

    [Fact]
    public void Programs_get_their_arguments_and_give_their_exit_code()
    {
        using var folder = new TempFolder();
        foreach (string name in new[] { "a.txt", "b.txt" }) File.WriteAllText(folder.File(name), "");

        Assert.Equal(
            ["a.txt b.txt", "*.txt", "a\"b c", "3", "in"],
            Run("-Command", $"Set-Location {folder.Path}; sh -c 'echo $*' x *.txt; printf '%s\\n' '*.txt'; printf '%s\\n' 'a\"b c'; sh -c 'exit 3'; $LASTEXITCODE; 'in' | cat"));
    }

    [Fact]
    public void Jobs_and_parallel_pipelines_run() =>
        Assert.Equal(["1", "2", "3"], Run("-Command", "Start-Job { 1 } | Receive-Job -Wait; Start-ThreadJob { 2 } | Receive-Job -Wait; 3 | ForEach-Object -Parallel { $_ }"));

    [Fact]
    public void Files_and_links_are_those_of_Unix()
    {
        using var folder = new TempFolder();

        Assert.Equal(
            ["SymbolicLink", "text", "con.txt, time 10:20:30", "True"],
            Run("-Command", $"""
                Set-Location {folder.Path}; 'text' > './time 10:20:30'; 'x' > con.txt
                (New-Item -ItemType SymbolicLink link -Target './time 10:20:30').LinkType; Get-Content link
                (Get-ChildItem -File -Name | Where-Object {'{'} $_ -ne 'link' {'}'} | Sort-Object) -join ', '
                Remove-Item link; Test-Path './time 10:20:30'
                """));
    }

    [Fact]
    public void Completion_and_help_answer() => Assert.Equal(
        ["Get-ChildItem", "Get-ChildItem"],
        Run("-Command", "(TabExpansion2 'Get-ChildIt' 11).CompletionMatches[0].CompletionText; (Get-Help Get-ChildItem).Name"));

    [Fact]
    public void SIGINT_stops_the_pipeline_and_runs_finally()
    {
        using var folder = new TempFolder();
        string script = folder.File("wait.ps1");
        File.WriteAllText(script, "try { [Console]::Out.WriteLine('ready'); Start-Sleep 600; 'slept' } finally { [Console]::Out.WriteLine('finally') }");
        using var process = Start("-File", script);
        Assert.Equal("ready", process.StandardOutput.ReadLine());

        Tool.Run("kill", ["-INT", $"{process.Id}"]);

        Assert.Equal("finally\n", process.StandardOutput.ReadToEnd());
        process.WaitForExit();
    }

    [ToolFact("script")]
    public void A_terminal_gets_color_prompts_and_no_stray_codes()
    {
        using var folder = new TempFolder();
        string script = folder.File("ask.ps1");
        File.WriteAllText(script, """
            [pscustomobject]@{ Name = 'red' } | Format-Table
            Write-Progress -Activity Copying -Status half -PercentComplete 50
            Write-Progress -Activity Copying -Completed
            $answer = Read-Host ask
            "answer: $answer"
            """);
        var start = new ProcessStartInfo("script", ["-qec", $"bash '{Repository.Pwsh}' -NoProfile -File '{script}'", "/dev/null"]) { RedirectStandardInput = true, RedirectStandardOutput = true };
        start.Environment["TERM"] = "xterm-256color";
        start.Environment.Remove("NO_COLOR");
        using var process = Process.Start(start)!;
        process.StandardInput.Write("abX\u007fc\r");
        process.StandardInput.Flush();

        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();

        Assert.Contains("\u001b[32;1m", output, StringComparison.Ordinal);
        Assert.Contains("Copying", output, StringComparison.Ordinal);
        Assert.Contains("answer: abc", output, StringComparison.Ordinal);
        Assert.DoesNotContain(output, c => char.IsControl(c) && c is not ('\u001b' or '\r' or '\n' or '\b' or '\a' or '\t'));
    }

    private static string[] Run(params string[] arguments)
    {
        using var process = Start(arguments);
        var error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"It ended with {process.ExitCode}:\n{output}\n{error.Result}");
        return output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    private static Process Start(params string[] arguments)
    {
        // Tests that were started in the background ignore SIGINT, and so would all that they start.
        var start = new ProcessStartInfo("env", ["--default-signal=INT", "bash", Repository.Pwsh, "-NoProfile", "-NonInteractive", .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["NO_COLOR"] = "1";
        return Process.Start(start)!;
    }
}
