using SnapshotTools.Cmdlet.Tests.Engine;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests;

/// <summary>The store's cmdlets, and how a store is named.</summary>
public sealed class StoreTests(PwshSession session) : ModuleTest(session)
{
    [Fact]
    public void Initialize_twice_is_the_same_store() =>
        Assert.Equal(["True"], Texts("$a = Initialize-SnapshotStore ./twice; New-VmVolume v 1MB -Store ./twice | Out-Null; $b = Initialize-SnapshotStore ./twice; [string]($a.Id -eq $b.Id -and $b.VolumeCount -eq 1)"));

    [Theory]
    [InlineData("./relative", "relative")]
    [InlineData("data:/onDrive", "drive/onDrive")]
    [InlineData("$PWD/absolute", "absolute")]
    [InlineData("'./with [brackets] and space'", "with [brackets] and space")]
    public void A_store_is_named_as_PowerShell_names_paths(string given, string expected)
    {
        Run("$null = New-Item -ItemType Directory -Force drive; if (-not (Get-PSDrive data -ErrorAction Ignore)) { $null = New-PSDrive data FileSystem $PWD/drive -Scope Global }");

        Assert.Equal([Session.File(expected)], Texts($"(Initialize-SnapshotStore -Store {given}).Path; Get-VmInstance -Store {given}"));
    }

    [Fact]
    public void Home_is_understood()
    {
        string folder = Texts("(Resolve-Path ~).Path")[0];

        Assert.Contains(folder, Fail("StoreNotFound", "Get-VmInstance -Store ~/surely/not/a/store").Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_environment_names_the_default() =>
        Assert.Equal([Session.File("env")], Texts("$env:SNAPSHOTTOOLS_STORE = \"$PWD/env\"; (Initialize-SnapshotStore).Path"));

    [Theory]
    [InlineData("./relative-env", "relative-env")]
    [InlineData("other-env", "other-env")]
    public void A_relative_path_in_the_environment_is_seen_from_the_location(string named, string expected)
    {
        Run($"$null = New-Item -ItemType Directory -Force elsewhere; Set-Location elsewhere; $env:SNAPSHOTTOOLS_STORE = '{named}'; $null = Initialize-SnapshotStore; $null = New-VmVolume there 1MB");

        Assert.Equal([Session.File($"elsewhere/{expected}"), "there"], Texts("(Get-SnapshotStore).Path; (TabExpansion2 'Get-VmVolume th' 15).CompletionMatches.CompletionText"));
    }

    [Fact]
    public void Home_in_the_environment_is_understood()
    {
        string folder = Texts("(Resolve-Path ~).Path")[0];

        Assert.Contains($"'{folder}/surely/not/a/store'", Fail("StoreNotFound", "$env:SNAPSHOTTOOLS_STORE = '~/surely/not/a/store'; Get-VmInstance").Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_store_counts_what_it_holds()
    {
        MakeVm("web01");
        Run("New-VmSnapshot web01 a");

        var store = Assert.Single(Run("Get-SnapshotStore").Output);
        Assert.Equal((1, 2, 1, 4), (store["VmCount"].GetInt32(), store["VolumeCount"].GetInt32(), store["SnapshotCount"].GetInt32(), store["LayerCount"].GetInt32()));
        Assert.True(store["AllocatedBytes"].GetInt64() > 0);
        Assert.True(store["FreeBytes"].GetInt64() > 0);
    }

    [Fact]
    public void A_healthy_store_has_no_findings()
    {
        MakeVm("web01");
        Run("New-VmSnapshot web01 a; Restore-VmSnapshot web01 a -Force");

        Assert.Empty(Run("Test-SnapshotStore").Output);
        Assert.Equal(["True"], Texts("[string](Test-SnapshotStore -Quiet)"));
    }

    [Fact]
    public void A_missing_layer_is_found()
    {
        MakeVm("web01");
        Run("New-VmSnapshot web01 a; Remove-Item (Get-VolumeSnapshot web01-data a).Path -Force");

        var finding = Run("Test-SnapshotStore").Output.First(f => f["Code"].GetString() == "LayerMissing");
        Assert.Equal(2, finding["Severity"].GetInt32());
        Assert.NotEmpty(finding["Message"].GetString()!);
        Assert.Equal(["False"], Texts("[string](Test-SnapshotStore -Quiet)"));
    }

    [Fact]
    public void A_lost_catalog_is_rebuilt()
    {
        MakeVm("web01");
        Run("New-VmSnapshot web01 a -Tag keep -Description 'as it was'");
        string[] before = Everything();
        Run("Remove-Item $env:SNAPSHOTTOOLS_STORE/catalog.sqlite");

        Fail("CatalogDamaged", "Get-VmInstance");
        Run("Repair-SnapshotStore -WhatIf");
        Fail("CatalogDamaged", "Get-VmInstance");
        Assert.Equal(["True CatalogLost"], Texts("Repair-SnapshotStore -Confirm:$false | % { \"$($_.IsMended) $($_.Code)\" }"));

        Assert.Equal(before, Everything());
        Assert.Equal(["True"], Texts("[string](Test-SnapshotStore -Quiet)"));
        Assert.Empty(Run("Repair-SnapshotStore -Force").Output);
    }

    [Fact]
    public void What_is_in_quarantine_is_deleted_after_a_question()
    {
        Run("New-VmVolume v 1MB; $q = Join-Path $env:SNAPSHOTTOOLS_STORE quarantine; $null = New-Item -ItemType Directory -Force $q; Copy-Item (Get-VmVolume v).HeadPath $q/old.qcow2");

        Assert.Contains("lost: 'quarantine/old.qcow2'", Assert.Single(Run("Repair-SnapshotStore -EmptyQuarantine", "N").Prompts), StringComparison.Ordinal);
        Assert.Single(Run("Repair-SnapshotStore -EmptyQuarantine -Confirm", "N").Prompts);
        Assert.StartsWith("What if: ", Run("Repair-SnapshotStore -EmptyQuarantine -Force -WhatIf").Host, StringComparison.Ordinal);
        foreach (string silently in new[] { "-Force", "-Confirm:$false" })
        {
            Assert.Equal(["old.qcow2"], Texts("(Get-ChildItem $q).Name"));
            Run($"Repair-SnapshotStore -EmptyQuarantine {silently}");
            Assert.Empty(Texts("Get-ChildItem $q; Copy-Item (Get-VmVolume v).HeadPath $q/old.qcow2"));
        }
        Run("Repair-SnapshotStore -EmptyQuarantine", "Y");
        Run("Repair-SnapshotStore -EmptyQuarantine; Repair-SnapshotStore");
        Assert.Empty(Texts("Get-ChildItem $q"));
    }

    [Fact]
    public void Optimize_has_nothing_to_do_after_a_removal()
    {
        MakeVm("web01");
        Run("New-VmSnapshot web01 a; New-VmSnapshot web01 b; Remove-VmSnapshot web01 a -Force");

        Assert.Equal(["0 0 0"], Texts("Optimize-SnapshotStore | % { \"$($_.LayersDeleted) $($_.LayersMerged) $($_.FreedBytes)\" }"));
    }

    [Fact]
    public void An_image_is_found_where_PowerShell_says()
    {
        Run("$null = New-Item -ItemType Directory -Force images; Set-Location images; [IO.File]::WriteAllBytes(\"$PWD/disk.raw\", [byte[]]::new(1MB)); New-VmVolume v -ImagePath disk.raw; Get-ChildItem disk.raw | New-VmVolume -Name { $_.BaseName } -Format Raw");

        Assert.Equal(["disk 1048576", "v 1048576"], Texts("Get-VmVolume | Sort-Object Name | % { \"$_ $($_.SizeBytes)\" }"));
    }
}
