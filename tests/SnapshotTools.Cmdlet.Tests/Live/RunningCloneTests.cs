using SnapshotTools.Cmdlet.Tests.Engine;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests.Live;

/// <summary>A replica runs while a worker fills it; the worker is killed, and the next one goes on and lets the running QEMU read the copy.</summary>
public sealed class RunningCloneTests(PwshSession session) : LiveVmTest(session)
{
    [ToolFact("qemu-system-x86_64")]
    public void A_worker_is_killed_while_it_fills_a_running_replica_and_the_next_one_completes_it()
    {
        Run("""
            $env:SNAPSHOTTOOLS_ACCELERATOR = 'tcg'
            $bytes = [byte[]]::new(12MB); [Random]::new(1).NextBytes($bytes); [IO.File]::WriteAllBytes("$PWD/big.raw", $bytes)
            New-VmVolume big -ImagePath ./big.raw; New-VmInstance source big -MemoryBytes 64MB
            Copy-VmInstance source replica -NoWait -MaxBytesPerSecond 1MB
            Start-VmInstance replica
            function Wait-For([scriptblock] $Condition) {
                $until = [datetime]::Now.AddSeconds(50)
                while (-not (& $Condition)) { if ([datetime]::Now -gt $until) { throw "waited in vain: $Condition" }; Start-Sleep -Milliseconds 50 }
            }
            function Get-Copy { Get-SnapshotOperation | ? { $_.Kind -eq 'Copy' -and $_.Target -eq 'replica-big' } }
            Wait-For { (Get-Copy).BytesDone -gt 1MB }
            Stop-Process -Force (Get-Copy).ProcessId
            """);
        Assert.Equal(["Interrupted"], Texts("\"$((Wait-SnapshotOperation (Get-Copy).Id -TimeoutSec 50 -WarningAction Ignore).State)\""));
        Run("Resume-SnapshotOperation (Get-Copy).Id; Wait-SnapshotOperation (Get-Copy).Id -TimeoutSec 50");
        Assert.Equal(["Completed"], Texts("\"$((Get-Copy).State)\""));
        // The replica's own layers and nothing else: no deleted base, nothing of the source.
        string pid = File.ReadAllText(Assert.Single(Directory.GetFiles(RunFolder, "pid", SearchOption.AllDirectories))).Trim();
        string[] open = [.. new DirectoryInfo($"/proc/{pid}/fd").EnumerateFileSystemInfos().Select(f => f.LinkTarget ?? "").Where(t => t.Contains("/layers/", StringComparison.Ordinal)).Distinct()];
        Assert.DoesNotContain(open, f => f.EndsWith("(deleted)", StringComparison.Ordinal));
        Assert.Equal(2, open.Length);
        Run("Remove-VmInstance source -IncludeVolumes -Force; Stop-VmInstance replica -TurnOff -Force");
        Assert.Equal(["true"], Texts("Optimize-SnapshotStore | Out-Null; Test-SnapshotStore -Quiet"));
        Assert.Equal(["1", ""], Texts("$v = Get-VmVolume replica-big; \"$($v.ChainLength)\"; \"$($v.LinkedTo)\""));
        Tool.Run("qemu-img", ["compare", "-f", "raw", "-F", "qcow2", Path.Combine(Texts("\"$PWD\"")[0], "big.raw"), Texts("(Get-VmVolume replica-big).Path")[0]]);
    }
}
