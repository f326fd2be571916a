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
            foreach (string memory in new[] { "", "-Memory" })
            {
                var never = Session.Run($"New-VmSnapshot web01 never {memory} -MaxPause ([timespan]::FromTicks(1)) -Verbose");
                Assert.StartsWith("VM 'web01'", never.Failed("PauseTooLong").Message, StringComparison.Ordinal);
                Assert.DoesNotContain(never.Verbose, v => v.Contains("could not take back", StringComparison.Ordinal));
            }
            Run("New-VmSnapshot web01 soon -MaxPause 30s; Remove-VmSnapshot web01 soon -Force");
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
        Run("Start-VmInstance web01; Stop-VmInstance web01 -TimeoutSec 55");    // it is asked before it can hear it, and again
        Assert.Equal("Stopped", Vm("State"));
        Assert.Equal("True", Texts("[string](Test-SnapshotStore -Quiet)")[0]);
    }

    [GuestFact]
    public async Task File_systems_are_frozen_between_the_scripts_or_it_is_said_that_they_are_not()
    {
        MakeGuest(withAgent: true);
        Run("Start-VmInstance web01");
        using var shell = await ConnectAsync();
        await shell.RunAsync("mkdir -p /mnt/a; mount -t ext4 /dev/vda /mnt/a; for i in 1 2 3 4 5 6 7 8 9; do pidof qemu-ga >/dev/null && break; sleep 1; done");

        var frozen = Run("New-VmSnapshot web01 frozen -Consistency FileSystem -Verbose -PreScript { 'before' } -PostScript { 'after' }");
        string[] line = [.. frozen.Verbose.Where(v => v.StartsWith("script", StringComparison.Ordinal) || v.Contains("are frozen", StringComparison.Ordinal)).Select(v => v.Split("ms  ")[^1])];
        Assert.Equal(["script: before", "the guest's file systems are frozen", "script: after"], line);
        Assert.Equal(["FileSystem"], Texts("[string](Get-VmSnapshot web01 frozen).Consistency"));
        await shell.RunAsync("echo thawed >/mnt/a/word; sync; killall qemu-ga");

        Fail("ConsistencyNotAvailable", "New-VmSnapshot web01 required -Consistency FileSystem");
        Assert.Contains("crash-consistent", Assert.Single(Run("New-VmSnapshot web01 preferred -Consistency FileSystem -ConsistencyPolicy Preferred").Warnings), StringComparison.Ordinal);
        Assert.Equal(["Crash"], Texts("[string](Get-VmSnapshot web01 preferred).Consistency"));
        Fail("InvalidArgument", "New-VmSnapshot web01 both -Memory -Consistency FileSystem");
        await shell.RunAsync("echo thawed >/mnt/a/word; sync");
    }

    [GuestFact]
    public async Task A_QEMU_that_hangs_is_running_and_can_be_turned_off()
    {
        await Task.Yield();
        MakeGuest();
        Run("Start-VmInstance web01 -Paused; bash -c \"kill -STOP $(Get-Content $env:SNAPSHOTTOOLS_RUN/*/pid)\"");

        Assert.Equal("Running", Vm("State"));
        string message = Fail("VmNotResponding", "Suspend-VmInstance web01").Message;
        Assert.StartsWith("VM 'web01': Its QEMU (process ", message, StringComparison.Ordinal);
        Assert.Contains("Stop-VmInstance web01 -TurnOff", message, StringComparison.Ordinal);
        Assert.Contains(Run("Stop-VmInstance web01 -TurnOff -Force -Verbose").Verbose, v => v.Contains("is killed", StringComparison.Ordinal));
        Assert.Equal("Stopped", Vm("State"));
        Assert.Equal("", Vm("LastWords"));
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
        Assert.Single(Directory.GetDirectories(RunFolder));
        Run("Remove-VmInstance web01 -IncludeVolumes -Force");
        Assert.Empty(Directory.GetDirectories(RunFolder));
    }
}
