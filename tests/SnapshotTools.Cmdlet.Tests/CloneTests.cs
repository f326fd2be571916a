using SnapshotTools.Cmdlet.Tests.Engine;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests;

/// <summary>Clones through the cmdlets.</summary>
public sealed class CloneTests : ModuleTest
{
    public CloneTests(PwshSession session)
        : base(session) => MakeVm("web01");

    [Fact]
    public void Positional_as_a_person_types()
    {
        Assert.Equal(["spare"], Texts("Copy-Volume web01-data spare | % Name"));
        Assert.Equal(["web01-data-copy"], Texts("Copy-Volume web01-data | % Name"));
        Assert.Equal(["Completed"], Texts("Get-SnapshotOperation | ? Kind -eq Copy | % { '{0}' -f $_.State } | Sort-Object -Unique"));
    }

    [Fact]
    public void Everything_of_a_pipeline_is_one_call()
    {
        Assert.Equal(["c-web01-root", "c-web01-data"], Texts("(Get-VmInstance web01).Volumes.Volume | Get-VmVolume | Copy-Volume -Name 'c-*' -Linked | % Name"));
        Assert.Single(Texts("Get-SnapshotOperation | ? Kind -eq Clone"));
        Assert.Equal(["d-web01-data", "d-web01-root"], Texts("New-VmSnapshot web01 a | Copy-Volume -Name 'd-*' | % Name | Sort-Object"));
        Assert.Equal(["x"], Texts("Get-VolumeSnapshot web01-data a | Copy-Volume -Name x | % Name"));
        Assert.Equal(["y"], Texts("Copy-Volume web01-data -SnapshotName a -Name y -Linked | % Name"));
        Assert.Equal(["true"], Texts("Test-SnapshotStore -Quiet"));
    }

    [Fact]
    public void WhatIf_and_PlanOnly_change_nothing()
    {
        string[] before = Everything();
        Assert.Contains("make volume 'web01-data-copy' as a clone of volume 'web01-data'", Run("Copy-Volume web01-data -WhatIf").Host, StringComparison.Ordinal);
        Assert.Equal(["OperationPlan"], Texts("(Copy-Volume web01-data -PlanOnly).GetType().Name"));
        Assert.Equal(before, Everything());
    }

    [Theory]
    [InlineData("NameExists", "Copy-Volume web01-data web01-root")]
    [InlineData("VolumeNotFound", "Copy-Volume nothing x")]
    [InlineData("InvalidArgument", "Copy-Volume web01-data, web01-root x")]
    [InlineData("InvalidArgument", "Copy-Volume web01-data, web01-root -Name x, y, z")]
    [InlineData("SnapshotNotFound", "Copy-Volume web01-data x -SnapshotName nothing")]
    public void What_cannot_be_is_said(string id, string script)
    {
        string[] before = Everything();
        Fail(id, script);
        Assert.Equal(before, Everything());
    }

    [Fact]
    public void Replicas_and_templates()
    {
        Assert.Equal(["web02"], Texts("Copy-VmInstance web01 web02 -MemoryBytes 256MB | % Name"));
        Assert.Equal(["r1", "r2"], Texts("Get-VmInstance web01 | Copy-VmInstance 'r#' -Count 2 -Linked | % Name"));
        Assert.Equal(["old-root", "old-data"], Texts("New-VmSnapshot web01 a | Copy-VmInstance -Name old | % { $_.Volumes.Volume }"));
        Assert.Equal(["base"], Texts("Get-VmInstance web01 | New-VmTemplate base -Description golden | % Name"));
        Assert.Equal(["node-01", "node-20"], Texts("$n = New-VmInstance node -Template base -Count 20 -ProcessorCount 4; $n[0].Name; $n[-1].Name"));
        Assert.Equal(["4", "40"], Texts("\"$((Get-VmInstance node-07).ProcessorCount)\"; \"$((Get-VmTemplate base).LinkedClones.Count)\""));
        Assert.Contains("base", Run("Get-VmTemplate b* | Out-String").Text, StringComparison.Ordinal);
        Fail("IsTemplate", "Start-VmInstance base");
        Fail("HasDependants", "Remove-VmTemplate base -Confirm:$false");
        Fail("TemplateNotFound", "New-VmInstance x -Template nothing");
        Fail("InvalidArgument", "New-VmInstance x -Template base -Volume web01-root");
        Run("Get-VmInstance node-* | Remove-VmInstance -IncludeVolumes -Force; Remove-VmTemplate base -Force");
        Fail("HasDependants", "Remove-VmInstance web01 -IncludeVolumes -IncludeSnapshots -Force");
        Fail("InvalidArgument", "Remove-VmInstance web01 -IncludeVolumes -IncludeSnapshots -Force -Flatten -Defer");
        Run("Remove-VmInstance web01 -IncludeVolumes -IncludeSnapshots -Force -Flatten; Remove-VmInstance r1 -IncludeVolumes -Force -Defer");
        Assert.Equal([""], Texts("\"$((Get-VmVolume r2-root).LinkedTo)\""));
        Assert.Equal(["true"], Texts("Test-SnapshotStore -Quiet"));
    }

    [Fact]
    public void Clones_hang_from_their_snapshot_and_removal_flattens_or_defers()
    {
        Run("New-VmSnapshot web01 a; New-VmSnapshot web01 b; Get-VmSnapshot web01 a | Copy-Volume -Name 'c-*' -Linked");
        Assert.Contains("⤷ c-web01-root (linked clone)", Run("Get-VmSnapshot web01 -Tree").Text, StringComparison.Ordinal);
        Fail("HasDependants", "Remove-VmSnapshot web01 a -Force");
        Fail("InvalidArgument", "Remove-VmSnapshot web01 a -Force -Flatten -Defer");
        Run("Remove-VmSnapshot web01 a -Force -Flatten");
        Assert.Equal([""], Texts("\"$((Get-VmVolume c-web01-root).LinkedTo)\""));
        Run("Copy-Volume c-web01-root d -Linked; Remove-VmVolume c-web01-root -Force -Defer; Remove-VmVolume d -Force");
        Assert.Equal(["true"], Texts("Optimize-SnapshotStore | Out-Null; Test-SnapshotStore -Quiet"));
    }

    [Fact]
    public void A_worker_copies_behind_the_session_and_is_told_what_to_do()
    {
        Run("""
            $bytes = [byte[]]::new(12MB); [Random]::new(1).NextBytes($bytes); [IO.File]::WriteAllBytes("$PWD/big.raw", $bytes)
            New-VmVolume big -ImagePath ./big.raw
            Copy-Volume big slow -NoWait -MaxBytesPerSecond 1MB
            Copy-Volume big quick -NoWait
            """);
        Assert.Equal(["Completed"], Texts("(Get-VmVolume quick | Wait-SnapshotOperation -TimeoutSec 50 -WarningAction Ignore | % { \"$($_.State)\" }) ?? 'Completed'"));
        Run("""
            $until = [datetime]::Now.AddSeconds(50)
            do { Start-Sleep -Milliseconds 100; $o = Get-SnapshotOperation | ? Target -eq slow } until ($o.State -eq 'Running' -and $o.BytesDone -gt 0 -or [datetime]::Now -gt $until)
            """);
        Assert.Equal(["Running", "True"], Texts("\"$($o.State)\"; \"$($o.ProcessId -ne $PID)\""));
        Fail("CloneInProgress", "Resize-VmVolume slow 32MB");
        Assert.Equal(["Paused"], Texts("Get-VmVolume slow | Suspend-SnapshotOperation | % { \"$($_.State)\" }"));
        Assert.Contains("is Paused", Assert.Single(Run("Wait-SnapshotOperation $o.Id").Warnings), StringComparison.Ordinal);
        Assert.Equal(["Pending"], Texts("Resume-SnapshotOperation $o.Id | % { \"$($_.State)\" }"));
        Fail("WaitTimedOut", "Wait-SnapshotOperation $o.Id -TimeoutSec 1");
        Assert.Equal(["Cancelled"], Texts("Stop-SnapshotOperation $o.Id -Discard -Confirm:$false | % { \"$($_.State)\" }"));
        Assert.Empty(Texts("Get-VmVolume slo*"));
        Assert.Equal(["true"], Texts("Test-SnapshotStore -Quiet"));
    }

    [Fact]
    public void The_worker_outlives_its_session_and_ends_when_idle()
    {
        var (exitCode, output) = SnapshotTools.Testing.Tool.TryRun("bash", [Repository.Pwsh, "-NoProfile", "-NonInteractive", "-Command",
            $"Import-Module '{Repository.Module}'; $env:SNAPSHOTTOOLS_STORE = '{Store}'; $b = [byte[]]::new(6MB); [Random]::new(1).NextBytes($b); [IO.File]::WriteAllBytes('{Store}.raw', $b); " +
            $"New-VmVolume gone -ImagePath '{Store}.raw' | Out-Null; Copy-Volume gone stays -NoWait -MaxBytesPerSecond 2MB | % Name"], timeoutSeconds: 60);
        Assert.True(exitCode == 0 && output.Trim() == "stays", output);
        Assert.Equal(["Completed"], Texts("Wait-SnapshotOperation -TimeoutSec 50 | Out-Null; Get-SnapshotOperation | ? Kind -eq Copy | % { \"$($_.State)\" }"));
        Run($$"""
            $until = [datetime]::Now.AddSeconds(30)
            do { Start-Sleep -Milliseconds 200; $left = Get-ChildItem /proc -Directory | ? Name -match '^\d+$' | ? { try { [IO.File]::ReadAllText("$($_.FullName)/cmdline") -match 'WorkerEntry.*{{Path.GetFileName(Store)}}\W' } catch { $false } } } while ($left -and [datetime]::Now -lt $until)
            if ($left) { throw "a worker is left: $left" }
            """);
        Assert.Equal(["true"], Texts("Test-SnapshotStore -Quiet"));
        Assert.Equal(["1"], Texts("\"$((Get-VmVolume stays).ChainLength)\""));
    }
}
