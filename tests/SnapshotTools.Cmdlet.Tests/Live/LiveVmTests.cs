using SnapshotTools.Cmdlet.Tests.Engine;
using SnapshotTools.Guest;
using Xunit;
using Xunit.Abstractions;

namespace SnapshotTools.Cmdlet.Tests.Live;

/// <summary>A real guest as an administrator has it in hand: started, paused, snapshotted, broken, brought back, stopped.</summary>
public sealed class LiveVmTests(PwshSession session, ITestOutputHelper output) : LiveVmTest(session)
{
    [GuestFact]
    public async Task A_running_guest_is_checkpointed_broken_and_brought_back()
    {
        MakeGuest();
        Assert.Equal("Running", State("Start-VmInstance web01 -PassThru"));
        using (var shell = await ConnectAsync())
        {
            Assert.Equal("Paused", State("Get-VmInstance web* | Suspend-VmInstance -PassThru"));
            Fail("VmNotRunning", "Stop-VmInstance web01");
            Fail("VmNotStopped", "Set-VmInstance web01 -ProcessorCount 2");
            Assert.Equal("Running", State("Resume-VmInstance web01 -PassThru"));

            await shell.RunAsync("mkdir -p /mnt/a; mount -t ext4 /dev/vda /mnt/a; echo one >/run/word; echo one >/mnt/a/word; sync");
            var crash = Run("New-VmSnapshot web01 running -Verbose");
            Assert.Equal("Crash", Texts("[string](Get-VmSnapshot web01 running).Consistency")[0]);
            Assert.Contains(crash.Verbose, v => v.Contains("the guest stood still for", StringComparison.Ordinal));
            var checkpoint = Run("New-VmSnapshot web01 check -Memory -MaxPause 30s");
            Assert.Equal("Memory", Texts("[string](Get-VmSnapshot web01 check).Consistency")[0]);
            Assert.True(checkpoint.Output[0]["MemorySizeBytes"].GetInt64() > 1 << 20);
            output.WriteLine(Run("Get-VmSnapshot web01 | Format-List Name, PauseDuration, MemorySizeBytes").Text);
            await shell.RunAsync("rm /run/word; rm -rf /mnt/a/*; sync");
        }
        Fail("VmNotStopped", "Restore-VmSnapshot web01 check -Force");
        var refused = Session.Run("Restore-VmSnapshot web01 check -StopVm", ["N"]).Succeeded();
        Assert.Contains("what the guest of VM 'web01' has in memory", Assert.Single(refused.Prompts), StringComparison.Ordinal);
        Assert.Equal("Running", Vm("State"));

        Assert.Equal("Suspended", State("Restore-VmSnapshot web01 check -StopVm -Force -PassThru"));
        Assert.Equal("Running", State("Resume-VmInstance web01 -PassThru"));
        using (var shell = await ConnectAsync())
            Assert.Equal("one\none\n", await shell.RunAsync("cat /run/word /mnt/a/word"));

        Fail("WaitTimedOut", "Wait-VmInstance web01 Stopped -TimeoutSec 0");
        Run("Stop-VmInstance web01 -TimeoutSec 60");
        Assert.Equal("Stopped", State("Wait-VmInstance web01 -TimeoutSec 0 -PassThru"));
        Assert.Equal("", Vm("LastWords"));
        Fail("MemoryNotAvailable", "New-VmSnapshot web01 x -Memory");
        Assert.Equal("True", Texts("[string](Test-SnapshotStore -Quiet)")[0]);
    }

    [GuestFact]
    public async Task A_QEMU_that_died_is_stopped_and_says_why()
    {
        await Task.Yield();
        MakeGuest();
        Run("Start-VmInstance web01 -Paused");
        Assert.Equal("Paused", Vm("State"));
        Run("bash -c \"kill $(Get-Content $env:SNAPSHOTTOOLS_RUN/*/pid)\"; Wait-VmInstance web01 -TimeoutSec 30");

        Assert.Contains("terminating on signal", Vm("LastWords"), StringComparison.Ordinal);
        Assert.Contains("terminating on signal", Fail("VmNotRunning", "Suspend-VmInstance web01").Message, StringComparison.Ordinal);
        Assert.Contains(Run("Start-VmInstance web01 -Paused").Warnings, w => w.Contains("terminating on signal", StringComparison.Ordinal));
        Run("Stop-VmInstance web01 -TurnOff -Force");
        Assert.Equal("", Vm("LastWords"));
        Assert.Contains("no-such-option", Fail("ComputeFailed", "Set-VmInstance web01 -ExtraArgument '-no-such-option'; Start-VmInstance web01").Message, StringComparison.Ordinal);
    }
}
