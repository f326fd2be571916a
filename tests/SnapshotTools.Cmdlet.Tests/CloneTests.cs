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
}
