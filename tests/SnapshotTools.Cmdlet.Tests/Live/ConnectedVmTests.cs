using SnapshotTools.Cmdlet.Tests.Engine;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests.Live;

/// <summary>A QEMU that someone else started, over the stable paths of the store's volumes.</summary>
public sealed class ConnectedVmTests(PwshSession session) : LiveVmTest(session)
{
    [ToolFact("qemu-system-x86_64")]
    public void It_is_connected_snapshotted_and_let_go_of()
    {
        Run("'os', 'db', 'other' | ForEach-Object { New-VmVolume $_ 16MB }; New-VmInstance web01 os, db; New-VmInstance web02 other");
        Run("$socket = Join-Path $env:SNAPSHOTTOOLS_RUN qmp; $pidFile = Join-Path $env:SNAPSHOTTOOLS_RUN qemu.pid; " +
            "qemu-system-x86_64 -accel tcg -m 64 -nodefaults -display none -daemonize -pidfile $pidFile -qmp \"unix:$socket,server=on,wait=off\" " +
            "-drive \"file=$((Get-VmVolume os).Path),format=qcow2,if=virtio\" -drive \"file=$((Get-VmVolume db).Path),format=qcow2,if=virtio\"; if ($LASTEXITCODE) { throw 'QEMU did not start' }");
        try
        {
            Fail("MachineMismatch", "Connect-VmInstance web02 $socket");
            Fail("ComputeFailed", "Connect-VmInstance web01 ./nothing");
            Assert.Equal("Running", State("Connect-VmInstance web01 $socket -PassThru"));
            Assert.Equal("Paused", State("Suspend-VmInstance web01 -PassThru"));
            Assert.Equal("Running", State("Resume-VmInstance web01 -PassThru"));
            Run("Disconnect-VmInstance web01");
            Assert.Equal("Stopped", Vm("State"));
            Fail("ImageInUse", "New-VmSnapshot web01 refused");
            Assert.Equal("Running", State("Get-VmInstance web01 | Connect-VmInstance -Monitor \"unix:$socket\" -PassThru"));
            Run("New-VmSnapshot web01 foreign");
            Assert.Equal(["True"], Texts("[string]($null -ne (Get-VmSnapshot web01 foreign).PauseDuration)"));
            // The stable paths lead elsewhere now; it is the same machine all the same.
            Run("Disconnect-VmInstance web01");
            Assert.Equal("Running", State("Connect-VmInstance web01 $socket -PassThru"));
            Run("New-VmSnapshot web01 again; Remove-VmSnapshot web01 foreign -Force");
            Assert.Contains("another program started its machine", Texts("(Restore-VmSnapshot web01 again -StopVm -PlanOnly).Lost")[0], StringComparison.Ordinal);
            Run("kill -STOP (Get-Content $pidFile)");
            Assert.Equal("Running", Vm("State"));
            string message = Fail("VmNotResponding", "Stop-VmInstance web01 -TurnOff -Force").Message;
            Assert.Contains("end its process, which someone else started", message, StringComparison.Ordinal);
            Assert.DoesNotContain("Stop-VmInstance", message, StringComparison.Ordinal);
            Run("kill -CONT (Get-Content $pidFile)");
            Run("Stop-VmInstance web01 -TurnOff");
            Assert.Equal("Stopped", Vm("State"));
        }
        finally
        {
            Session.Run("if (Test-Path $pidFile) { Stop-Process -Id (Get-Content $pidFile) -Force -ErrorAction Ignore }");
        }
    }
}
