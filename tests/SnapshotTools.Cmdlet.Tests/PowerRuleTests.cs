using SnapshotTools.Cmdlet.Tests.Engine;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests;

/// <summary>What the cmdlets for running VMs say to VMs that do not run.</summary>
public sealed class PowerRuleTests(PwshSession session) : ModuleTest(session)
{
    [Fact]
    public void A_stopped_VM_cannot_pause_and_is_left_alone_when_it_is_stopped()
    {
        MakeVm("web01");
        Fail("VmNotRunning", "Suspend-VmInstance web01");
        Fail("VmNotRunning", "Resume-VmInstance web01");
        Assert.Equal("web01", Run("Stop-VmInstance web01 -PassThru; Stop-VmInstance web01 -TurnOff").Output[0]["Name"].GetString());
        Assert.Contains("stopped already", Run("Stop-VmInstance web01 -WhatIf").Host, StringComparison.Ordinal);
        Assert.Contains("Start VM 'web01'", Run("Start-VmInstance web* -WhatIf").Host, StringComparison.Ordinal);
        Fail("VmNotFound", "Start-VmInstance nobody*");
    }

    [Fact]
    public void A_wait_ends_by_its_limit()
    {
        MakeVm("web01");
        Assert.Empty(Run("Wait-VmInstance web01").Output);
        Assert.Contains("is Stopped, not Running or Paused", Fail("WaitTimedOut", "Wait-VmInstance web01 Running, Paused -TimeoutSec 1").Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Memory_and_frozen_file_systems_need_a_running_guest()
    {
        MakeVm("web01");
        Fail("MemoryNotAvailable", "New-VmSnapshot web01 s -Memory -MaxPause 200ms");
        Fail("ConsistencyNotAvailable", "New-VmSnapshot web01 s -Consistency FileSystem");
        Fail("InvalidArgument", "New-VmSnapshot web01 s -ConsistencyPolicy Preferred");
        Run("New-VmSnapshot web01 s -Consistency FileSystem -ConsistencyPolicy Preferred");
        Assert.Equal(["Crash"], Texts("[string](Get-VmSnapshot web01 s).Consistency"));
    }

    [Fact]
    public void The_way_to_boot_is_checked_and_changed()
    {
        File.WriteAllText(Session.File("vmlinuz"), "");
        File.WriteAllText(Session.File("initrd"), "");
        Fail("ImageNotFound", "New-VmInstance web01 -Kernel ./nothing");
        Fail("InvalidArgument", "New-VmInstance web01 -Initrd ./initrd");
        Fail("InvalidArgument", "New-VmInstance web01 -FirmwareVariables ./initrd");
        Run("New-VmInstance web01 -Kernel ./vmlinuz -Initrd ./initrd -KernelCommandLine quiet -ExtraArgument '-device', 'virtio-rng-pci'");
        Assert.EndsWith("KernelCommandLine = quiet, ExtraArguments = -device virtio-rng-pci", Texts("[string](Get-VmInstance web01).Boot")[0], StringComparison.Ordinal);
        const string boot = "(Get-VmInstance web01).Boot | ForEach-Object { \"$(Split-Path -Leaf $_.Kernel) $(Split-Path -Leaf $_.Initrd) $($_.KernelCommandLine) $($_.ExtraArguments)\" }";
        Assert.Equal(["vmlinuz initrd quiet -device virtio-rng-pci"], Texts(boot));
        Run("Set-VmInstance web01 -Initrd '' -KernelCommandLine 'ro' -ExtraArgument @() -ProcessorCount 3 -MemoryBytes 2GB -NetworkAdapter none -Description 'for tests'");
        Assert.Equal(["vmlinuz  ro "], Texts("(Get-VmInstance web01).Boot | ForEach-Object { \"$(Split-Path -Leaf $_.Kernel) $($_.Initrd) $($_.KernelCommandLine) $($_.ExtraArguments)\" }"));
        Assert.Equal(["3 2147483648 none for tests"], Texts("Get-VmInstance web01 | ForEach-Object { \"$($_.ProcessorCount) $($_.MemoryBytes) $($_.NetworkAdapters.Network) $($_.Description)\" }"));
        Fail("InvalidArgument", "Set-VmInstance web01 -Kernel ''");
        Fail("InvalidArgument", "Set-VmInstance web01 -ProcessorCount 0");
    }

    [Theory]
    [InlineData("'200ms'", 200)]
    [InlineData("200", 200)]
    [InlineData("'1.5s'", 1500)]
    [InlineData("[TimeSpan]::FromSeconds(2)", 2000)]
    public void A_pause_is_written_as_people_write_it(string text, int milliseconds) => Assert.Equal([$"{milliseconds}"], Texts(
        "$type = (Get-Command New-VmSnapshot).ImplementingType.GetProperty('MaxPause').GetCustomAttributes($true) | Where-Object { $_.GetType().Name -eq 'DurationAttribute' }; " +
        $"[string]$type.Transform($ExecutionContext, {text}).TotalMilliseconds"));
}
