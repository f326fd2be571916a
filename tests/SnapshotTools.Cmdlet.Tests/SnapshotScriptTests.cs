using SnapshotTools.Cmdlet.Tests.Engine;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests;

/// <summary>What runs around the instant of a snapshot.</summary>
public sealed class SnapshotScriptTests(PwshSession session) : ModuleTest(session)
{
    private const string Log = "$log = [Collections.ArrayList]::new(); $word = 'of the'; $names = $script = 'caller'; ";

    private string[] Logged() => Texts("$log");

    [Fact]
    public void Both_see_the_callers_variables_and_the_names()
    {
        MakeVm("web01");
        var result = Run(Log + "New-VmSnapshot web01 s -Verbose -PreScript { $null = $log.Add(\"before $args, $word $names $script\"); 'said' } -PostScript { $null = $log.Add(\"after $args\") }");
        Assert.Equal(["before web01 s, of the caller caller", "after web01 s"], Logged());
        Assert.Contains("script: said", result.Verbose);
    }

    [Theory]
    [InlineData("throw 'no way'", "no way")]
    [InlineData("Get-Item /nowhere", "/nowhere")]
    [InlineData("Start-Sleep 60", "ended after 1 s")]
    [InlineData("sh -c 'exit 3'; 'goes on'", "exit code: 3")]
    public void A_failing_script_before_stops_the_snapshot_and_the_one_after_runs(string script, string why)
    {
        MakeVm("web01");
        var error = Fail("PreScriptFailed", Log + $"New-VmSnapshot web01 s -ScriptTimeoutSec 1 -PreScript {{ {script} }} -PostScript {{ $null = $log.Add('after') }}");
        Assert.Contains(why, error.Message, StringComparison.Ordinal);
        Assert.Equal(["after"], Logged());
        Assert.Empty(Texts("Get-VmSnapshot"));
        Assert.Equal(["2"], Texts("(Get-SnapshotStore).LayerCount"));
    }

    [Theory]
    [InlineData("Get-Program", "exit code: 3")]
    [InlineData("Get-Mistake", "/nowhere")]
    [InlineData("Get-Call", "/elsewhere")]
    public void The_same_counts_in_a_block_of_a_module(string block, string why)
    {
        MakeVm("web01");
        string module = """
            $null = New-Module other { function Find-Nothing { Get-Item /elsewhere } } | Import-Module -Global
            $null = New-Module hooks { function Get-Program { { sh -c 'exit 3' } }; function Get-Mistake { { Get-Item /nowhere } }; function Get-Call { { Find-Nothing } } } | Import-Module -Global;
            """;
        Assert.Contains(why, Fail("PreScriptFailed", $"{module} New-VmSnapshot web01 s -PreScript (& hooks\\{block})").Message, StringComparison.Ordinal);
        Assert.Empty(Texts("Remove-Module hooks, other; Get-VmSnapshot"));
    }

    [Theory]
    [InlineData("sh -c 'echo note >&2'")]
    [InlineData("$PSNativeCommandUseErrorActionPreference = $false; sh -c 'exit 3'; if ($LASTEXITCODE -ne 3) { throw $LASTEXITCODE }")]
    [InlineData("try { sh -c 'exit 3' } catch { 'handled' }; Get-Item /nowhere -ErrorAction SilentlyContinue; Get-Item /nowhere -ErrorAction Ignore")]
    [InlineData("(New-Module { function f { sh -c 'echo one >&2; echo two >&2' } } -AsCustomObject).f()")]
    public void What_a_script_handles_itself_or_a_program_notes_is_no_failure(string script)
    {
        MakeVm("web01");
        Assert.Equal(["s"], Texts($"New-VmSnapshot web01 s -PreScript {{ {script} }} | % Name"));
    }

    [Fact]
    public void A_failing_script_after_leaves_the_snapshot()
    {
        MakeVm("web01");
        var result = Session.Run("New-VmSnapshot web01 s -PostScript { throw 'too late' }");
        Assert.Contains("too late", result.Failed("PostScriptFailed").Message, StringComparison.Ordinal);
        Assert.Equal("s", Assert.Single(result.Output)["Name"].GetString());
    }

    [Fact]
    public void A_file_or_program_runs_too_and_its_exit_code_counts()
    {
        MakeVm("web01");
        File.WriteAllText(Session.File("hook.ps1"), "param($Vm, $Snapshot) Set-Content hook.txt \"$Vm/$Snapshot\"; exit [int]($Snapshot -eq 'bad')");
        Run("New-VmSnapshot web01 s -PreScript ./hook.ps1 -PostScript (Get-Command true).Source");
        Assert.Equal(["web01/s"], Texts("Get-Content hook.txt"));
        Assert.Contains("exit code 1", Fail("PreScriptFailed", "New-VmSnapshot web01 bad -PreScript ./hook.ps1").Message, StringComparison.Ordinal);
        Fail("InvalidArgument", "New-VmSnapshot web01 t -PreScript ./nothing.ps1");
    }

    [Fact]
    public void Neither_runs_where_nothing_is_done()
    {
        MakeVm("web01");
        Run("New-VmSnapshot web01 s");
        Run(Log + "$both = @{ PreScript = { $null = $log.Add('before') }; PostScript = { $null = $log.Add('after') } }; New-VmSnapshot web01 t -WhatIf @both; New-VmSnapshot web01 t -PlanOnly @both; New-VmSnapshot web01 s -Ensure @both");
        Assert.Empty(Logged());
    }

    [Fact]
    public void Ctrl_C_in_the_first_runs_the_second_and_takes_no_snapshot()
    {
        MakeVm("web01");
        var call = Session.Begin(Log + "New-VmSnapshot web01 s -PreScript { $null = $log.Add('before'); Write-Progress waiting; Start-Sleep 60 } -PostScript { $null = $log.Add(\"after $word $names\") }");
        call.WaitForProgress();
        call.Stop();
        Assert.True(call.Wait().Stopped);
        Assert.Equal(["before", "after of the caller"], Logged());
        Assert.Empty(Texts("Get-VmSnapshot"));
    }
}
