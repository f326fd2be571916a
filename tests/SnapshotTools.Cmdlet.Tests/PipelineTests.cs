using SnapshotTools.Cmdlet.Tests.Engine;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests;

/// <summary>Everything pipes by value and by property name, and is positional where a person types it.</summary>
public sealed class PipelineTests : ModuleTest
{
    public PipelineTests(PwshSession session)
        : base(session) => MakeVm("web01", "web02", "db01");

    private string[] Snapshots => Texts("Get-VmSnapshot | % { \"$($_.VmName)/$($_.Name)\" } | Sort-Object");

    [Fact]
    public void Positional_as_a_person_types()
    {
        Run("New-VmSnapshot web01 a; New-VmSnapshot web01 b; Rename-VmSnapshot web01 b c; Restore-VmSnapshot web01 a -Force; Remove-VmSnapshot web01 c -Force");

        Assert.Equal(["web01/a"], Snapshots);
    }

    [Fact]
    public void VMs_by_value_leave_the_first_position_to_the_snapshot()
    {
        Run("Get-VmInstance web* | New-VmSnapshot before");
        Assert.Equal(["web01/before", "web02/before"], Snapshots);
        Assert.Equal(["web02/before"], Texts("Get-VmInstance web02, db01 | Get-VmSnapshot bef* | % { \"$($_.VmName)/$($_.Name)\" }"));

        Run("Get-VmInstance web02 | Restore-VmSnapshot before -Force; Get-VmInstance web* | Remove-VmSnapshot before -Force");
        Assert.Empty(Snapshots);
    }

    [Fact]
    public void A_VM_that_is_piped_gives_neither_its_name_nor_its_description_to_the_snapshot()
    {
        var snapshot = Assert.Single(Run("New-VmInstance noted web01-extra -Description 'of the VM' -ErrorAction Ignore; New-VmVolume v 1MB; New-VmInstance noted v -Description 'of the VM'; Get-VmInstance noted | New-VmSnapshot").Output, o => o.TypeNames[0].EndsWith(".VmSnapshot", StringComparison.Ordinal));

        Assert.NotEqual("noted", snapshot["Name"].GetString());
        Assert.Equal(System.Text.Json.JsonValueKind.Null, snapshot["Description"].ValueKind);
    }

    [Fact]
    public void Snapshots_by_value()
    {
        Run("New-VmSnapshot web0* a; New-VmSnapshot web0* b");

        Run("Get-VmSnapshot web01 a | Restore-VmSnapshot -Force; Get-VmSnapshot web01 b | Rename-VmSnapshot c; Get-VmSnapshot web02 | Set-VmSnapshot -Tag t; Get-VmSnapshot -Tag t | Remove-VmSnapshot -Force");

        Assert.Equal(["web01/a", "web01/c"], Snapshots);
        Assert.Equal(["a"], Texts("(Get-VmInstance web01).CurrentSnapshot"));
    }

    [Fact]
    public void Names_by_value() => Assert.Equal(["web01/x", "web02/x"], Texts("'web01', 'web02' | New-VmSnapshot -Name x | % { \"$($_.VmName)/$_\" }"));

    [Fact]
    public void Rows_of_a_table_by_property_name()
    {
        Run("""
            Set-Content snapshots.csv "VmName,Name,Description,Tag,ExpiresAt", "web01,x,why,t,", "db01,y,,,2040-01-31"
            Import-Csv snapshots.csv | New-VmSnapshot
            Set-Content volumes.csv "Name,SizeBytes", "v1,20MB", "v2,1048576"
            Import-Csv volumes.csv | New-VmVolume
            Set-Content vms.csv "Name,Volume,ProcessorCount,MemoryBytes", "app01,v1,4,1GB"
            Import-Csv vms.csv | New-VmInstance
            """);

        Assert.Equal(["db01 y    01/31/2040", "web01 x why t  "], Texts("Get-VmSnapshot | % { '{0} {1} {2} {3}  {4:MM/dd/yyyy}' -f $_.VmName, $_.Name, $_.Description, ($_.Tags -join ','), $_.ExpiresAt } | Sort-Object"));
        Assert.Equal(["20971520", "1048576"], Texts("Get-VmVolume v? | % SizeBytes"));
        Assert.Equal(["4 1073741824 v1"], Texts("Get-VmInstance app01 | % { \"$($_.ProcessorCount) $($_.MemoryBytes) $($_.Volumes)\" }"));

        Run("Import-Csv snapshots.csv | Restore-VmSnapshot -Force; Import-Csv snapshots.csv | Remove-VmSnapshot -Force; Import-Csv vms.csv | Remove-VmInstance -Force; Import-Csv volumes.csv | Remove-VmVolume -Force");
        Assert.Empty(Snapshots);
    }

    [Fact]
    public void An_empty_cell_of_a_table_is_not_given()
    {
        Run("""
            New-VmVolume v1 1MB; New-VmVolume v2 1MB; New-VmVolume v3 1MB; $null = New-VmTemplate db01 small
            Set-Content vms.csv "Name,Template,Volume,BootVolume,SharedVolume,Bus,ProcessorCount,MemoryBytes,Kernel,Initrd,KernelCommandLine,Firmware,FirmwareVariables,Description",
                "app01,,v1,,,,,,,,,,,", "app02,small,,,,,,,,,,,,", "app03,,v2,v2,v2,Scsi,2,2GB,,,,,,why", "app04,,v3,,,,,,,,,,,"
            Import-Csv vms.csv | New-VmInstance
            """);

        Run("""
            [IO.File]::WriteAllBytes("$PWD/small.raw", [byte[]]::new(1MB)); Set-Content volumes.csv "Name,SizeBytes,ImagePath,Format", "e1,2MB,,", "e2,,small.raw,", "e3,3MB,,"
            Import-Csv volumes.csv | New-VmVolume
            """);
        Assert.Equal(["e1 2097152", "e2 1048576", "e3 3145728"], Texts("Get-VmVolume e? | % { \"$_ $($_.SizeBytes)\" }"));
        Assert.Equal(["app01 1 1073741824 v1 Virtio True False ", "app03 2 2147483648 v2 Scsi True True why", "app04 1 1073741824 v3 Virtio True False "], Texts(
            "Get-VmInstance app01, app03, app04 | % { \"$_ $($_.ProcessorCount) $($_.MemoryBytes) $($_.Volumes) $($_.Volumes.Bus) $($_.Volumes.Boot) $($_.Volumes.Shared) $($_.Description)\" }"));
        Assert.Equal(["2 536870912 2"], Texts("Get-VmInstance app02 | % { \"$($_.ProcessorCount) $($_.MemoryBytes) $($_.Volumes.Count)\" }"));
    }

    [Fact]
    public void An_empty_cell_leaves_the_tags_as_they_are()
    {
        Run("""
            New-VmSnapshot web01 a -Tag keep; New-VmSnapshot web02 a -Tag keep
            Set-Content tags.csv "VmName,Name,Description,Tag", "web01,a,new,", "web02,a,new,other"
            Import-Csv tags.csv | Set-VmSnapshot
            """);

        Assert.Equal(["web01 new keep", "web02 new other"], Texts("Get-VmSnapshot | % { \"$($_.VmName) $($_.Description) $($_.Tags)\" }"));
        Run("Set-VmSnapshot web01 a -Tag @()");
        Assert.Equal(["web01 ", "web02 other"], Texts("Get-VmSnapshot | % { \"$($_.VmName) $($_.Tags)\" }"));
    }

    [Fact]
    public void An_empty_text_on_the_command_line_is_a_mistake()
    {
        foreach (string parameter in new[] { "Template", "Kernel", "Initrd", "Firmware", "FirmwareVariables" })
            Assert.Contains($"-{parameter} is empty", Fail("InvalidArgument", $"New-VmInstance other -{parameter} $unset").Message, StringComparison.Ordinal);
        Fail("InvalidArgument", "New-VmVolume other -SizeBytes 1MB -ImagePath ''");
        Fail("InvalidArgument", "Set-VmSnapshot web01 a -Tag ''");
    }

    [Fact]
    public void Volumes_by_value_and_by_position()
    {
        Run("New-VmVolume extra 8MB; Get-VmVolume extra | Mount-VmVolume web01; New-VmVolume more 8MB; Get-VmInstance web01 | Mount-VmVolume more");
        Assert.Equal(["web01-root web01-data extra more"], Texts("\"$((Get-VmInstance web01).Volumes)\""));
        Assert.Equal(["extra", "more", "web01-data", "web01-root"], Texts("Get-VmInstance web01 | Get-VmVolume | % Name | Sort-Object"));

        Run("Get-VmVolume extra | Dismount-VmVolume; Dismount-VmVolume web01 more; Get-VmVolume extra | Resize-VmVolume 9MB; Resize-VmVolume more 10MB");
        Assert.Equal(["9437184", "10485760"], Texts("Get-VmVolume extra, more | % SizeBytes"));

        Run("Get-VmVolume extra, more | Remove-VmVolume -Force");
        Assert.Empty(Texts("Get-VmVolume e*, m*"));
    }

    [Fact]
    public void Volume_snapshots_by_value_and_by_position()
    {
        Run("New-VmVolume v 8MB; New-VolumeSnapshot v a; Get-VmVolume v | New-VolumeSnapshot b; Get-VolumeSnapshot v a | Restore-VolumeSnapshot -Force; Get-VolumeSnapshot v a | New-VmVolume copy");
        Assert.Equal(["8388608"], Texts("(Get-VmVolume copy).SizeBytes"));

        Run("Remove-VmVolume copy -Force; Get-VmVolume v | Remove-VolumeSnapshot b -Force; Get-VolumeSnapshot v a | Remove-VolumeSnapshot -Force");
        Assert.Empty(Texts("Get-VolumeSnapshot v"));
    }

    [Fact]
    public void The_parts_of_a_VM_snapshot() =>
        Assert.Equal(["web01-root/a", "web01-data/a"], Texts("New-VmSnapshot web01 a | Get-VolumeSnapshot | % { \"$($_.VolumeName)/$_\" }"));

    [Fact]
    public void Lines_of_a_tree_pipe_like_snapshots()
    {
        Run("New-VmSnapshot web01 a; New-VmSnapshot web01 b; Get-VmSnapshot web01 -Tree | Where-Object Depth -eq 1 | Where-Object Name | Remove-VmSnapshot -Force");

        Assert.Equal(["web01/a"], Snapshots);
    }

    [Fact]
    public void The_store_comes_with_the_object()
    {
        Run("New-VmSnapshot web01 a; $vm = Get-VmInstance web01; $row = [pscustomobject]@{ VmName = 'web01'; Name = 'c'; Store = $env:SNAPSHOTTOOLS_STORE }; $env:SNAPSHOTTOOLS_STORE = '/nowhere'; $vm | New-VmSnapshot b; $row | New-VmSnapshot");

        Assert.Equal(["a", "b", "c"], Texts($"Get-VmSnapshot -Store '{Store}' | % Name"));
    }

    [Fact]
    public void One_items_error_does_not_stop_the_others()
    {
        var result = Session.Run("'web01', 'nosuch', 'web02' | New-VmSnapshot -Name x; New-VmSnapshot nosuch, db01 x");

        Assert.Equal(["VmNotFound", "VmNotFound"], result.Errors.Select(e => e.Id));
        Assert.Equal(["db01/x", "web01/x", "web02/x"], Snapshots);
    }

    [Fact]
    public void A_name_that_is_missing_does_not_hide_the_others()
    {
        Run("New-VmSnapshot web01, web02 x; New-VmVolume loose 1MB; New-VolumeSnapshot loose x");

        foreach (string names in new[] { "web01, retired, web02", "web01, retired, web02 x", "web01, retired, web02 -Latest" })
        {
            var found = Session.Run($"Get-VmSnapshot {names} | % VmName");
            Assert.Equal("retired", found.Failed("VmNotFound").Target);
            Assert.Equal(["web01", "web02"], found.Output.Select(o => o.ToString()));
        }
        Assert.Equal(2, Session.Run("Get-VmSnapshot web01, retired, web02 -Tree | ? Depth -eq 0").Output.Count);
        var volumes = Session.Run("Get-VolumeSnapshot web01-root, retired, loose | % VolumeName");
        Assert.Equal("retired", volumes.Failed("VolumeNotFound").Target);
        Assert.Equal(["web01-root", "loose"], volumes.Output.Select(o => o.ToString()).OrderDescending());

        Session.Run("Get-VmSnapshot web01, retired | Remove-VmSnapshot -Force").Failed("VmNotFound");
        Assert.Equal(["web02/x"], Snapshots);
    }

    [Fact]
    public void Nothing_is_found_where_all_names_are_missing()
    {
        Run("New-VmSnapshot web01 x");

        foreach (string looking in new[] { "Get-VmSnapshot gone, retired", "Get-VmSnapshot gone, retired -Tree", "Get-VolumeSnapshot gone, retired" })
        {
            var result = Session.Run(looking);
            Assert.Equal(["gone", "retired"], result.Errors.Select(e => e.Target));
            Assert.Empty(result.Output);
        }
        Assert.Empty(Session.Run("Get-VmSnapshot gone x").Output);
    }

    [Fact]
    public void A_descendant_that_went_with_its_ancestor_is_no_error()
    {
        Run("New-VmSnapshot web01 a; New-VmSnapshot web01 b; New-VmSnapshot web01 c; Get-VmSnapshot web01 | Remove-VmSnapshot -IncludeChildren -Force");

        Assert.Empty(Snapshots);
    }

    [Fact]
    public void Other_objects_are_not_taken_for_ours() =>
        Assert.All(Session.Run("Get-Item . | New-VmVolume -WhatIf; Get-Item . | Remove-VmSnapshot -WhatIf; [pscustomobject]@{ Size = 5 } | Restore-VolumeSnapshot -WhatIf").Errors, e => Assert.True(e.Id is "InvalidArgument" or "InputObjectNotBound" or "VmNotFound", e.FullId));

    [Fact]
    public void Both_the_pipeline_and_the_command_line_name_the_VM() =>
        Assert.Contains("-VmName 'web01'", Fail("InvalidArgument", "Get-VmInstance web01 | New-VmSnapshot web01 x").Message, StringComparison.Ordinal);
}
