using SnapshotTools.Cmdlet.Tests.Engine;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests;

/// <summary>Tab.</summary>
public sealed class CompletionTests : ModuleTest
{
    public CompletionTests(PwshSession session)
        : base(session)
    {
        MakeVm("web01", "web02");
        Run("New-VmVolume 'it''s data' 1MB; New-VmInstance 'my vm' -Volume 'it''s data'; New-VmSnapshot web01 before-upgrade -Tag keep, 'two words'; New-VmSnapshot web01 1st; New-VmSnapshot web02 other -Tag php; New-VolumeSnapshot 'it''s data' s1");
    }

    [Theory]
    [InlineData("Get-VmInstance ", "'my vm' web01 web02")]
    [InlineData("New-VmSnapshot w", "web01 web02")]
    [InlineData("Remove-VmSnapshot -VmName WEB0", "web01 web02")]
    [InlineData("Get-VmInstance 'my", "'my vm'")]
    [InlineData("Restore-VmSnapshot web01 ", "'1st' before-upgrade")]
    [InlineData("Restore-VmSnapshot web01 bef", "before-upgrade")]
    [InlineData("Remove-VmSnapshot -VmName web02 -Name ", "other")]
    [InlineData("Rename-VmSnapshot -Vm web02 -Name ", "other")]
    [InlineData("Get-VmSnapshot web0* ", "'1st' before-upgrade other")]
    [InlineData("Get-VmSnapshot -Name *up", "before-upgrade")]
    [InlineData("Get-VmVolume ", "'it''s data' web01-data web01-root web02-data web02-root")]
    [InlineData("Mount-VmVolume web01 it", "'it''s data'")]
    [InlineData("Dismount-VmVolume web01 ", "web01-data web01-root")]
    [InlineData("New-VmSnapshot web02 x -Volume ", "web02-data web02-root")]
    [InlineData("New-VmInstance x -Volume web01-", "web01-data web01-root")]
    [InlineData("Restore-VolumeSnapshot 'it''s data' ", "s1")]
    [InlineData("Get-VmSnapshot -Tag ", "keep php 'two words'")]
    [InlineData("Get-VmSnapshot web02 -Tag ", "php")]
    [InlineData("New-VmSnapshot web01 x -Scope ", "All Boot Data")]
    [InlineData("Restore-VmSnapshot web01 1st -FailAction R", "Retry Rollback")]
    [InlineData("Get-VmInstance nosuch", "")]
    public void Tab_completes(string line, string expected) => Assert.Equal(expected, string.Join(' ', Complete(line)));

    [Fact]
    public void The_store_that_the_line_names_is_the_one_that_is_asked()
    {
        Run("Initialize-SnapshotStore ./second; New-VmInstance only -Store ./second");

        Assert.Equal(["only"], Complete("Get-VmInstance -Store ./second -Name o"));
        Assert.Equal(["only"], Complete($"Get-VmInstance -Store '{Session.File("second")}' -Name o"));
    }

    [Fact]
    public void Where_there_is_no_store_nothing_is_completed_and_none_is_made()
    {
        Assert.Empty(Complete("Get-VmInstance -Store ./absent -Name w"));
        Assert.Empty(Complete("Get-VmInstance -Store variable:x -Name w"));
        Assert.False(Directory.Exists(Session.File("absent")));
    }

    private string[] Complete(string line) => [.. Texts($"""
        $line = @'
        {line}
        '@
        [System.Management.Automation.CommandCompletion]::CompleteInput($line, $line.Length, $null).CompletionMatches | % CompletionText
        """).Where(t => !t.StartsWith('.') && !t.Contains(Path.DirectorySeparatorChar))];
}
