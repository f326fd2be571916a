using SnapshotTools.Cmdlet.Tests.Engine;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests;

/// <summary>What the objects look like.</summary>
public sealed class FormatTests : ModuleTest
{
    private static readonly string[] Lists = ["Get-VmInstance", "Get-VmVolume", "Get-VmSnapshot", "Get-VolumeSnapshot", "Get-SnapshotOperation", "Get-SnapshotStore"];

    public FormatTests(PwshSession session)
        : base(session)
    {
        MakeVm("web01", new string('n', 60));
        Run($"New-VmSnapshot web01 before-upgrade -Tag keep, php -Description 'Last state with the old version'; New-VmSnapshot web01 {new string('s', 100)}; Restore-VmSnapshot web01 before-upgrade -KeepBackup -Force");
    }

    [Fact]
    public void Tables_fit_120_columns_and_say_sizes_for_people()
    {
        foreach (string command in Lists.Append("Get-VmSnapshot -Tree").Append("Remove-VmSnapshot web01 before-upgrade -PlanOnly").Append("Optimize-SnapshotStore"))
        {
            var result = Run(command);
            Assert.NotEmpty(result.Text.Trim());
            Assert.All(result.Text.Split('\n'), line => Assert.True(line.Length <= 120, line));
            Assert.DoesNotContain("\u001b", result.Text, StringComparison.Ordinal);
        }
        foreach (string command in Lists.Where(c => c != "Get-SnapshotOperation")) Assert.Matches(@"\d (B|KiB|MiB|GiB)\b", Run(command).Text);
    }

    [Fact]
    public void Default_is_a_table()
    {
        foreach (string command in Lists) Assert.Matches(@"(?m)^ *-+( +-+)+ *$", Run(command).Text);
    }

    [Fact]
    public void The_table_of_VMs() => Assert.Matches(
        @"Name +State +CPU +Memory Snapshots Current +Volumes\n.*\nweb01 +Stopped +2 +512 MiB +3 before-upgrade +web01-root, web01-data\n", Run("Get-VmInstance web01").Text);

    [Fact]
    public void The_table_of_snapshots_marks_the_one_that_the_present_descends_from() => Assert.Matches(
        @"VM +Name +Taken +Size Scope Consistency Tags\n.*\nweb01 +before-upgrade \* +\d{4}-\d\d-\d\d \d\d:\d\d +[\d.]+ KiB All   Crash       keep, php\n", Run("Get-VmSnapshot web01 before-upgrade").Text);

    [Fact]
    public void The_tree_is_drawn_under_the_VMs_name()
    {
        string text = Run("Get-VmSnapshot web01 -Tree").Text;

        Assert.Matches(@"^\n   VM: web01\n\nSnapshot +Taken +Size Description\n-", text);
        Assert.Contains("\n● before-upgrade  ", text, StringComparison.Ordinal);
        Assert.Contains("\n└─○ (present)", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Lists_have_readable_sizes()
    {
        foreach (string command in Lists.Where(c => c != "Get-SnapshotOperation"))
            Assert.Matches(@"(?m)^(Size|Memory|Allocated) +: [\d.]+ (B|KiB|MiB|GiB)$", Run(command + " | Format-List").Text);
    }

    [Fact]
    public void States_are_colored_only_where_the_terminal_shows_color()
    {
        const string script = "[pscustomobject]@{ PSTypeName = 'SnapshotTools.Core.VmInstance'; Name = 'x'; State = 'Error'; MemoryBytes = 1GB; Volumes = @() } | Out-String -Width 120";

        Assert.DoesNotContain("\u001b", Run(script).Text, StringComparison.Ordinal);
        Assert.Contains("\u001b[31mError\u001b[0m", Run($"& {{ $PSStyle.OutputRendering = 'Ansi'; try {{ {script} }} finally {{ $PSStyle.OutputRendering = 'PlainText' }} }}").Text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_plan_reads_as_WhatIf_prints_it() =>
        Assert.Contains(Run("Remove-VmSnapshot web01 before-upgrade -PlanOnly").Text.Trim(), "What if: " + Run("Remove-VmSnapshot web01 before-upgrade -WhatIf").Host.Replace("What if: ", "", StringComparison.Ordinal), StringComparison.Ordinal);
}
