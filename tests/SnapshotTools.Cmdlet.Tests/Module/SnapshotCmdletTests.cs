using SnapshotTools.Cmdlet.Tests.Engine;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests.Module;

/// <summary>What the cmdlets inherit, seen through cmdlets made for the tests.</summary>
public sealed class SnapshotCmdletTests(SnapshotCmdletTests.ProbeSession session) : IClassFixture<SnapshotCmdletTests.ProbeSession>
{
    [Theory]
    [InlineData("NotFound", "ObjectNotFound")]
    [InlineData("InvalidInput", "InvalidArgument")]
    [InlineData("Conflict", "InvalidOperation")]
    [InlineData("Busy", "ResourceBusy")]
    [InlineData("NoSpace", "ResourceUnavailable")]
    [InlineData("Unsupported", "NotImplemented")]
    [InlineData("Damaged", "InvalidData")]
    [InlineData("Failed", "NotSpecified")]
    public void An_error_of_the_engine_keeps_its_id_target_and_advice(string kind, string category)
    {
        var error = session.Run($"Test-ProbeError web01 -Kind {kind}").Failed("ProbeFailed");

        Assert.Equal((category, "'web01' failed.", "web01", "Try another.", false), (error.Category, error.Message, error.Target, error.RecommendedAction, error.Terminating));
    }

    [Fact]
    public void An_error_of_the_system_is_an_error_record_too() =>
        Assert.Equal("PermissionDenied", session.Run("Test-ProbeError web01").Failed("AccessDenied").Category);

    [Fact]
    public void The_pipeline_goes_on_after_one_items_error()
    {
        var result = session.Run("'a', 'b' | Test-ProbeError -Kind Busy");

        Assert.Equal(["a", "b"], result.Output.Select(o => o.ToString()));
        Assert.Equal(["a", "b"], result.Errors.Select(e => e.Target));
    }

    [Fact]
    public void An_error_before_the_first_item_ends_the_cmdlet()
    {
        var result = session.Run("'a', 'b' | Test-ProbeError -Kind Busy -AtOnce");

        Assert.Empty(result.Output);
        result.Failed("ProbeFailed");
    }

    [Fact]
    public void Work_runs_on_another_thread_and_all_it_says_arrives()
    {
        var result = session.Run("Invoke-Probe -Verbose").Succeeded();

        Assert.Equal("true", Assert.Single(result.Output).ToString());
        Assert.Equal(Enumerable.Range(0, 100).Select(i => $"line {i}"), result.Verbose);
    }

    [Fact]
    public void Stopping_cancels_the_work_waits_for_it_and_takes_the_progress_away()
    {
        string file = session.File("stopped");
        var call = session.Begin($"Wait-Probe -EndFile '{file}'");
        var first = call.WaitForProgress();
        Assert.Equal(("Waiting", "counting", 25, false), (first.Activity, first.Status, first.Percent, first.Completed));

        call.Stop();

        var result = call.Wait();
        Assert.True(result.Stopped);
        Assert.Empty(result.Errors);
        Assert.True(File.Exists(file));
    }

    [Fact]
    public void A_warning_that_stops_the_cmdlet_cancels_the_work()
    {
        string file = session.File("warned");

        session.Run($"Wait-Probe -EndFile '{file}' -Warn -WarningAction Stop").Failed("ActionPreferenceStop");

        Assert.True(File.Exists(file));
    }

    /// <summary>A session with the module and the cmdlets made for the tests.</summary>
    public sealed class ProbeSession : PwshSession
    {
        public ProbeSession()
        {
            string probe = Path.Combine(Path.GetDirectoryName(typeof(ProbeSession).Assembly.Location)!, "SnapshotTools.Cmdlet.Probe.dll");
            Run($"Import-Module '{probe}'").Succeeded();
        }
    }
}
