using SnapshotTools.Cmdlet.Tests.Engine;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests;

/// <summary>One operation at a time on a VM; -Wait and -TimeoutSec queue.</summary>
public sealed class LockTests : ModuleTest
{
    /// <summary>Takes a snapshot of web01 through the engine and runs a script at the moment when the VM is locked for it.</summary>
    private const string WhileLocked = """
        $context = [System.Runtime.Loader.AssemblyLoadContext]::All | Where-Object Name -eq SnapshotTools
        $core = $context.LoadFromAssemblyName('SnapshotTools.Core')
        $engine = $context.LoadFromAssemblyName('SnapshotTools.Embedded').GetType('SnapshotTools.Embedded.EmbeddedStore')::Open($env:SNAPSHOTTOOLS_STORE, $null)
        function New-Record($Type, $Values) {
            $record = [Activator]::CreateInstance($core.GetType("SnapshotTools.Core.$Type"))
            foreach ($name in $Values.Keys) { $record.GetType().GetProperty($name).SetValue($record, $Values[$name]) }
            $record
        }
        $script:ran = $false
        $seen = [System.Collections.Generic.List[object]]::new()
        $log = [Action[string]] { if (-not $script:ran) { $script:ran = $true; $seen.Add((& $work)) } }
        $operation = $engine.Snapshots.Create((New-Record NewSnapshotRequest @{ Vm = 'web01'; Name = 'first' }))
        $null = $operation.Run((New-Record RunOptions @{ Log = $log }))
        $engine.Dispose()
        """;

    public LockTests(PwshSession session)
        : base(session) => MakeVm("web01", "web02");

    [Fact]
    public void A_busy_VM_is_an_error_at_once_or_after_the_time_out_and_another_VM_is_free()
    {
        string[] seen = Texts("$work = { try { New-VmSnapshot web01 second -ErrorAction Stop } catch { \"$($_.FullyQualifiedErrorId) $($_.CategoryInfo.Category)\" }; " +
            "try { New-VmSnapshot web01 second -TimeoutSec 1 -ErrorAction Stop } catch { $_.FullyQualifiedErrorId }; (New-VmSnapshot web02 other).Name }\n" + WhileLocked + "\n$seen | % { $_ }");

        Assert.Equal(3, seen.Length);
        Assert.StartsWith("VmBusy,", seen[0], StringComparison.Ordinal);
        Assert.EndsWith(" ResourceBusy", seen[0], StringComparison.Ordinal);
        Assert.StartsWith("VmBusy,", seen[1], StringComparison.Ordinal);
        Assert.Equal("other", seen[2]);
    }

    [Fact]
    public void Wait_waits()
    {
        string module = Repository.Module;

        Run($"$work = {{ Start-ThreadJob {{ Import-Module '{module}'; New-VmSnapshot web01 second -Wait -Verbose 4>&1 }} }}" + "\n" + WhileLocked + "\n$waited = $seen[0] | Wait-Job | Receive-Job");

        Assert.Equal(["first", "second"], Texts("Get-VmSnapshot web01 | % Name"));
    }
}
