using SnapshotTools.Cmdlet.Tests.Engine;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests;

/// <summary>Objects that went through CLIXML or JSON still say what they said, and still pipe.</summary>
public sealed class SerializationTests : ModuleTest
{
    public SerializationTests(PwshSession session)
        : base(session)
    {
        MakeVm("web01");
        Run("New-VmSnapshot web01 a -Tag x, y -Description why -ExpiresAt 2040-01-31; New-VmSnapshot web01 b");
    }

    [Fact]
    public void Json_keeps_names_numbers_and_times()
    {
        Assert.Equal(["web01 a Crash x,y 2 web01-root True"], Texts(
            "Get-VmSnapshot web01 a | ConvertTo-Json -Depth 4 -EnumsAsStrings | ConvertFrom-Json | % { '{0} {1} {2} {3} {4} {5} {6}' -f $_.VmName, $_.Name, $_.Consistency, ($_.Tags -join ','), $_.Volumes.Count, $_.Volumes[0].VolumeName, ($_.SizeBytes -gt 0) }"));
        Assert.Equal(["web01 Stopped 536870912 web01-data 33554432"], Texts(
            "Get-VmInstance web01 | ConvertTo-Json -Depth 4 -EnumsAsStrings | ConvertFrom-Json | % { '{0} {1} {2} {3} {4}' -f $_.Name, $_.State, $_.MemoryBytes, $_.Volumes[1].Volume, $_.Volumes[1].SizeBytes }"));
        Assert.Equal(["True"], Texts("$s = Get-VmSnapshot web01 a; [string](($s | ConvertTo-Json | ConvertFrom-Json).CreatedAt.ToUniversalTime() -eq $s.CreatedAt.UtcDateTime)"));
    }

    [Fact]
    public void Json_pipes_by_property_name()
    {
        Run("Get-VmSnapshot web01 b | ConvertTo-Json | ConvertFrom-Json | Remove-VmSnapshot -Force");

        Assert.Equal(["a"], Texts("Get-VmSnapshot web01 | % Name"));
    }

    [Theory]
    [InlineData("Get-VmInstance")]
    [InlineData("Get-VmVolume")]
    [InlineData("Get-VmSnapshot")]
    [InlineData("Get-VolumeSnapshot")]
    [InlineData("Get-SnapshotOperation")]
    [InlineData("Get-SnapshotStore")]
    public void Clixml_looks_the_same(string command)
    {
        string live = Run(command).Text;

        Assert.Equal(live, Run($"{command} | Export-Clixml x.xml; Import-Clixml x.xml").Text);
    }

    [Fact]
    public void Clixml_keeps_its_types() => Assert.Equal(["Guid DateTime Int64 why x,y"], Texts(
        "Get-VmSnapshot web01 a | Export-Clixml x.xml; Import-Clixml x.xml | % { '{0} {1} {2} {3} {4}' -f $_.Id.GetType().Name, $_.CreatedAt.UtcDateTime.GetType().Name, $_.SizeBytes.GetType().Name, $_.Description, ($_.Tags -join ',') }"));

    [Fact]
    public void Clixml_pipes_like_the_live_objects()
    {
        Run("""
            Get-VmInstance web01 | Export-Clixml vm.xml
            Get-VmSnapshot web01 b | Export-Clixml b.xml
            Get-VolumeSnapshot web01-data a | Export-Clixml data.xml
            Import-Clixml vm.xml | New-VmSnapshot c
            Import-Clixml vm.xml | Get-VmVolume | Out-Null
            Import-Clixml data.xml | New-VmVolume copy
            Import-Clixml b.xml | Rename-VmSnapshot b2
            Import-Clixml b.xml | Remove-VmSnapshot -Force
            """);

        Assert.Equal(["a", "c"], Texts("Get-VmSnapshot web01 | % Name"));
        Assert.Equal(["copy"], Texts("Get-VmVolume copy | % Name"));
    }

    [Fact]
    public void Objects_cannot_be_changed() =>
        Assert.NotEmpty(Session.Run("(Get-VmSnapshot web01 a).GetType().GetProperty('Name').SetMethod.ReturnParameter.GetRequiredCustomModifiers() | % Name").Output);
}
