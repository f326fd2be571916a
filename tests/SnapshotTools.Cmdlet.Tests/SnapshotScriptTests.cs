using SnapshotTools.Cmdlet.Tests.Engine;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests;

/// <summary>What runs around the instant of a snapshot.</summary>
public sealed class SnapshotScriptTests(PwshSession session) : ModuleTest(session)
{
    private const string Log = "$log = [Collections.ArrayList]::new(); $word = 'of the caller'; ";

    private string[] Logged() => Texts("$log");

    [Fact]
    public void Both_see_the_callers_variables_and_the_names()
    {
        MakeVm("web01");
        var result = Run(Log + "New-VmSnapshot web01 s -Verbose -PreScript { $null = $log.Add(\"before $args, $word\"); 'said' } -PostScript { $null = $log.Add(\"after $args\") }");
        Assert.Equal(["before web01 s, of the caller", "after web01 s"], Logged());
        Assert.Contains("script: said", result.Verbose);
    }

    [Theory]
    [InlineData("throw 'no way'", "no way")]
    [InlineData("Get-Item /nowhere", "/nowhere")]
    [InlineData("Start-Sleep 60", "ended after 1 s")]
    public void A_failing_script_before_stops_the_snapshot_and_the_one_after_runs(string script, string why)
    {
        MakeVm("web01");
        var error = Fail("PreScriptFailed", Log + $"New-VmSnapshot web01 s -ScriptTimeoutSec 1 -PreScript {{ {script} }} -PostScript {{ $null = $log.Add('after') }}");
        Assert.Contains(why, error.Message, StringComparison.Ordinal);
        Assert.Equal(["after"], Logged());
        Assert.Empty(Texts("Get-VmSnapshot"));
        Assert.Equal(["2"], Texts("(Get-SnapshotStore).LayerCount"));
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
        var call = Session.Begin(Log + "New-VmSnapshot web01 s -PreScript { $null = $log.Add('before'); Write-Progress waiting; Start-Sleep 60 } -PostScript { $null = $log.Add(\"after $word\") }");
        call.WaitForProgress();
        call.Stop();
        Assert.True(call.Wait().Stopped);
        Assert.Equal(["before", "after of the caller"], Logged());
        Assert.Empty(Texts("Get-VmSnapshot"));
    }
}
