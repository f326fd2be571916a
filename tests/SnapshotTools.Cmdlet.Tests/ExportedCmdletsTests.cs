using SnapshotTools.Cmdlet.Tests.Engine;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests;

/// <summary>Pins what the module exports: a change here changes what scripts rely on.</summary>
public sealed class ExportedCmdletsTests(PwshSession session) : ModuleTest(session)
{
    private static readonly string[] Expected =
    [
        "Connect-VmInstance: Low -> VmInstance, OperationPlan",
        "Copy-VmInstance: Low -> VmInstance, OperationPlan",
        "Copy-Volume: Low -> VmVolume, OperationPlan",
        "Disconnect-VmInstance: Low -> VmInstance, OperationPlan",
        "Dismount-VmVolume: Medium -> VmInstance, OperationPlan",
        "Get-SnapshotOperation: - -> SnapshotOperation",
        "Get-SnapshotStore: - -> StoreInfo",
        "Get-VmInstance: - -> VmInstance",
        "Get-VmSnapshot: - -> VmSnapshot, SnapshotTreeNode",
        "Get-VmTemplate: - -> VmTemplate",
        "Get-VmVolume: - -> VmVolume",
        "Get-VolumeSnapshot: - -> VolumeSnapshot",
        "Initialize-SnapshotStore: Low -> StoreInfo, OperationPlan",
        "Mount-VmVolume: Low -> VmInstance, OperationPlan",
        "New-VmInstance: Low -> VmInstance, OperationPlan",
        "New-VmSnapshot: Low -> VmSnapshot, OperationPlan",
        "New-VmTemplate: Low -> VmTemplate, OperationPlan",
        "New-VmVolume: Low -> VmVolume, OperationPlan",
        "New-VolumeSnapshot: Low -> VolumeSnapshot, OperationPlan",
        "Optimize-SnapshotStore: Low -> StoreOptimization, OperationPlan",
        "Remove-VmInstance: High -> VmInstance, OperationPlan",
        "Remove-VmSnapshot: High -> VmSnapshot, OperationPlan",
        "Remove-VmTemplate: High -> VmTemplate, OperationPlan",
        "Remove-VmVolume: High -> VmVolume, OperationPlan",
        "Remove-VolumeSnapshot: High -> VolumeSnapshot, OperationPlan",
        "Rename-VmSnapshot: Low -> VmSnapshot, OperationPlan",
        "Repair-SnapshotStore: Medium -> StoreRepair, OperationPlan",
        "Resize-VmVolume: Medium -> VmVolume, OperationPlan",
        "Restore-VmSnapshot: High -> VmInstance, OperationPlan",
        "Restore-VolumeSnapshot: High -> VmVolume, OperationPlan",
        "Resume-SnapshotOperation: Low -> SnapshotOperation, OperationPlan",
        "Resume-VmInstance: Low -> VmInstance, OperationPlan",
        "Set-VmInstance: Low -> VmInstance, OperationPlan",
        "Set-VmSnapshot: Low -> VmSnapshot, OperationPlan",
        "Start-VmInstance: Low -> VmInstance, OperationPlan",
        "Stop-SnapshotOperation: Medium -> SnapshotOperation, OperationPlan",
        "Stop-VmInstance: Medium -> VmInstance, OperationPlan",
        "Suspend-SnapshotOperation: Low -> SnapshotOperation, OperationPlan",
        "Suspend-VmInstance: Low -> VmInstance, OperationPlan",
        "Test-SnapshotStore: - -> StoreFinding, Boolean",
        "Wait-SnapshotOperation: - -> SnapshotOperation",
        "Wait-VmInstance: - -> VmInstance",
    ];

    [Fact]
    public void Cmdlets_their_impact_and_their_output_are_as_pinned()
    {
        string[] exported = Texts("""
            Get-Command -Module SnapshotTools | Sort-Object Name | ForEach-Object {
                $c = $_.ImplementingType.GetCustomAttributes([System.Management.Automation.CmdletAttribute], $false)[0]
                '{0}: {1} -> {2}' -f $_.Name, $(if ($c.SupportsShouldProcess) { $c.ConfirmImpact } else { '-' }), (($_.OutputType.Name | ForEach-Object { $_.Split('.')[-1] }) -join ', ')
            }
            """);

        Assert.Equal(Expected, exported);
    }

    [Fact]
    public void Everything_exported_is_a_cmdlet() => Assert.Equal(["Cmdlet"], Texts("Get-Command -Module SnapshotTools | % { \"$($_.CommandType)\" } | Sort-Object -Unique"));

    [Fact]
    public void All_that_changes_something_plans_and_can_be_silenced() => Assert.Equal(["False"], Texts("""
        $missing = Get-Command -Module SnapshotTools -ParameterName WhatIf | Where-Object { -not ($_.Parameters.ContainsKey('PlanOnly') -and $_.Parameters.ContainsKey('Force') -and $_.Parameters.ContainsKey('Confirm')) }
        [string][bool]$missing
        """));

    [Fact]
    public void All_that_takes_locks_can_wait() => Assert.Equal(["Initialize-SnapshotStore", "Resume-SnapshotOperation", "Stop-SnapshotOperation", "Suspend-SnapshotOperation"], Texts(
        "Get-Command -Module SnapshotTools -ParameterName WhatIf | Where-Object { -not ($_.Parameters.ContainsKey('Wait') -and $_.Parameters.ContainsKey('TimeoutSec')) } | % Name | Sort-Object"));

    [Fact]
    public void The_silent_have_PassThru() => Assert.Equal(
        ["Copy-VmInstance", "Copy-Volume", "Initialize-SnapshotStore", "New-VmInstance", "New-VmSnapshot", "New-VmTemplate", "New-VmVolume", "New-VolumeSnapshot", "Optimize-SnapshotStore",
         "Repair-SnapshotStore", "Resume-SnapshotOperation", "Stop-SnapshotOperation", "Suspend-SnapshotOperation"],
        Texts("Get-Command -Module SnapshotTools -ParameterName WhatIf | Where-Object { -not $_.Parameters.ContainsKey('PassThru') } | % Name | Sort-Object"));

    [Fact]
    public void Every_cmdlet_takes_the_store_by_property_name() => Assert.Empty(Texts(
        "Get-Command -Module SnapshotTools | Where-Object { -not $_.Parameters['Store'].ParameterSets.Values.ValueFromPipelineByPropertyName } | % Name"));

    [Fact]
    public void The_module_works_under_a_prefix()
    {
        string module = Repository.Module;
        MakeVm("web01");
        try
        {
            Assert.Equal("before", Run($"Remove-Module SnapshotTools; Import-Module '{module}' -Prefix My; Get-MyVmInstance web01 | New-MyVmSnapshot before").Output[0]["Name"].GetString());
            Assert.Contains("├─● a", Run("New-MyVmSnapshot web01 a; Restore-MyVmSnapshot web01 before -Force; Get-MyVmSnapshot web01 -Tree").Text, StringComparison.Ordinal);
        }
        finally
        {
            Run($"Remove-Module SnapshotTools -ErrorAction Ignore; Import-Module '{module}'");
        }
    }
}
