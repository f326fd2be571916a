using Xunit;

namespace SnapshotTools.Cmdlet.Tests.Engine;

/// <summary>That the session tells the truth, so that the other tests can.</summary>
public sealed class PwshSessionTests(PwshSession session) : IClassFixture<PwshSession>
{
    [Fact]
    public void Output_comes_as_objects_and_as_text()
    {
        var result = session.Run("[pscustomobject]@{ Name = 'web01'; Bytes = 5 }; 'plain'").Succeeded();

        Assert.Equal("web01", result.Output[0]["Name"].GetString());
        Assert.Equal(5, result.Output[0]["Bytes"].GetInt64());
        Assert.Equal("plain", result.Output[1].ToString());
        Assert.Contains("web01", result.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Streams_are_kept_apart()
    {
        var result = session.Run("Write-Warning w; Write-Verbose v -Verbose; Write-Host h; Write-Error e -ErrorId Odd -Category LimitsExceeded -TargetObject t -RecommendedAction do");

        Assert.Equal("w", Assert.Single(result.Warnings));
        Assert.Equal("v", Assert.Single(result.Verbose));
        Assert.Equal("h", Assert.Single(result.Information));
        var error = result.Failed("Odd");
        Assert.Equal(("LimitsExceeded", "e", "t", "do", false), (error.Category, error.Message, error.Target, error.RecommendedAction, error.Terminating));
    }

    [Fact]
    public void A_terminating_error_is_told_from_others() => Assert.True(session.Run("1; throw 'over'; 2").Failed("over").Terminating);

    [Fact]
    public void State_lasts_from_script_to_script()
    {
        session.Run("$kept = 42").Succeeded();

        Assert.Equal("42", session.Run("$kept").Output[0].ToString());
    }

    [Fact]
    public void Prompts_are_answered_from_the_list()
    {
        const string script = "function Remove-It { [CmdletBinding(SupportsShouldProcess, ConfirmImpact='High')] param() if ($PSCmdlet.ShouldProcess('it')) { 'gone' } }; Remove-It";

        var yes = session.Run(script, answers: ["Y"]).Succeeded();
        var no = session.Run(script, answers: ["N"]).Succeeded();

        Assert.Equal("gone", Assert.Single(yes.Output).ToString());
        Assert.Contains("it", Assert.Single(yes.Prompts), StringComparison.Ordinal);
        Assert.Empty(no.Output);
    }

    [Fact]
    public void WhatIf_is_host_text() =>
        Assert.StartsWith("What if:", session.Run("Remove-Item $PSHOME/pwsh.dll -WhatIf").Succeeded().Host, StringComparison.Ordinal);

    [Fact]
    public void A_script_can_be_stopped_when_it_shows_progress()
    {
        var call = session.Begin("Write-Progress -Activity Copying -Status half -PercentComplete 50; Start-Sleep 600; 'end'");
        Assert.Equal(("Copying", "half", 50), (call.WaitForProgress() is { } p ? (p.Activity, p.Status, p.Percent) : default));

        call.Stop();

        var result = call.Wait();
        Assert.True(result.Stopped);
        Assert.Empty(result.Output);
    }

    [Fact]
    public void A_script_that_hangs_fails_its_own_test_only()
    {
        Assert.Throws<TimeoutException>(() => session.Run("Start-Sleep 600", timeout: TimeSpan.FromSeconds(1)));

        Assert.Equal("SnapshotTools", session.Run("(Get-Command Get-VmSnapshot).Module.Name").Succeeded().Output[0].ToString());
    }

    [Fact]
    public void The_session_has_a_store_of_its_own() => Assert.Equal(session.Store, session.Run("$env:SNAPSHOTTOOLS_STORE").Output[0].ToString());
}
