using SnapshotTools.Cmdlet.Tests.Engine;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests;

/// <summary>-WhatIf, -Confirm, -Force and -PlanOnly.</summary>
public sealed class ConfirmTests : ModuleTest
{
    /// <summary>One command for every cmdlet that changes something, on the store of this class.</summary>
    private static readonly string[] Changes =
    [
        "New-VmSnapshot web01 new",
        "Set-VmSnapshot web01 a -Tag t",
        "Restore-VmSnapshot web01 a",
        "Remove-VmSnapshot web01 b",
        "Rename-VmSnapshot web01 a z",
        "New-VolumeSnapshot loose new",
        "Restore-VolumeSnapshot loose s",
        "Remove-VolumeSnapshot loose s",
        "New-VmVolume other 1MB",
        "Resize-VmVolume spare 2MB",
        "Remove-VmVolume spare",
        "Mount-VmVolume web01 second",
        "Dismount-VmVolume web02 web02-data",
        "New-VmInstance other third",
        "Remove-VmInstance web02 -IncludeVolumes",
        "Optimize-SnapshotStore",
        "Initialize-SnapshotStore \"$env:SNAPSHOTTOOLS_STORE-other\"",
    ];

    public ConfirmTests(PwshSession session)
        : base(session)
    {
        MakeVm("web01", "web02");
        Run("New-VmVolume spare 1MB; New-VmVolume second 1MB; New-VmVolume third 1MB; New-VmVolume loose 1MB; New-VolumeSnapshot loose s; New-VmSnapshot web01 a -Description 'with notes'; New-VmSnapshot web01 b");
    }

    [Fact]
    public void WhatIf_prints_the_plan_and_changes_nothing()
    {
        string[] before = Everything();

        foreach (string change in Changes)
        {
            var result = Run($"{change} -WhatIf");
            Assert.StartsWith("What if: ", result.Host, StringComparison.Ordinal);
            Assert.Contains("needs ", result.Host, StringComparison.Ordinal);
            Assert.Empty(result.Output);
        }
        Assert.Equal(before, Everything());
        Assert.False(Directory.Exists(Store + "-other"));
    }

    [Fact]
    public void WhatIf_counts_for_more_than_Force_and_for_as_much_as_a_preference()
    {
        string[] before = Everything();

        Assert.StartsWith("What if: ", Run("Remove-VmSnapshot web01 a -Force -WhatIf").Host, StringComparison.Ordinal);
        Assert.StartsWith("What if: ", Run("& { $WhatIfPreference = $true; Remove-VmSnapshot web01 a -Force }").Host, StringComparison.Ordinal);
        Assert.Equal(before, Everything());
    }

    [Fact]
    public void The_plan_says_what_is_deleted_copied_freed_and_lost()
    {
        string restore = Run("Restore-VmSnapshot web01 a -WhatIf").Host;
        Assert.Contains("Restore VM 'web01' to snapshot 'a' of 20", restore, StringComparison.Ordinal);
        Assert.Contains("lost: the present state of volume 'web01-root'", restore, StringComparison.Ordinal);

        string remove = Run("Remove-VmSnapshot web01 b -WhatIf").Host;
        Assert.Matches(@"copies .* frees .* needs .* of free space", remove);
        Assert.Contains("lost: snapshot 'b' of VM 'web01', taken 20", remove, StringComparison.Ordinal);
    }

    [Fact]
    public void PlanOnly_writes_the_plan_as_an_object_and_changes_nothing()
    {
        string[] before = Everything();

        foreach (string change in Changes)
        {
            var plan = Assert.Single(Run($"{change} -PlanOnly").Output);
            Assert.Equal("SnapshotTools.Core.OperationPlan", plan.TypeNames[0]);
            Assert.NotEmpty(plan["Summary"].GetString()!);
            Assert.True(plan["SpaceNeeded"].GetInt64() >= 0);
        }
        Assert.Equal(before, Everything());
    }

    [Fact]
    public void The_prompt_names_the_VM_the_snapshot_its_time_and_what_is_lost()
    {
        string prompt = Assert.Single(Run("Restore-VmSnapshot web01 a", "N").Prompts);
        foreach (string said in new[] { "'web01'", "'a'", $" {DateTime.Now.Year}-", "lost: the present state" }) Assert.Contains(said, prompt, StringComparison.Ordinal);

        prompt = Assert.Single(Run("Remove-VmSnapshot web01 a", "N").Prompts);
        foreach (string said in new[] { "'web01'", "'a'", $" {DateTime.Now.Year}-", "with notes", "lost: snapshot" }) Assert.Contains(said, prompt, StringComparison.Ordinal);
    }

    [Fact]
    public void No_leaves_all_as_it_is_and_yes_does_it()
    {
        string[] before = Everything();
        foreach (string change in new[] { "Restore-VmSnapshot web01 a", "Remove-VmSnapshot web01 b", "Remove-VmVolume spare", "Remove-VmInstance web02", "Restore-VolumeSnapshot loose s", "Remove-VolumeSnapshot loose s" })
            Run(change, "N");
        Assert.Equal(before, Everything());

        Run("Remove-VmSnapshot web01 b", "Y");
        Assert.Equal(["a"], Texts("Get-VmSnapshot web01 | % Name"));
    }

    [Fact]
    public void Yes_to_all_asks_once_for_a_whole_pipeline()
    {
        Assert.Single(Run("Get-VmSnapshot web01 | Remove-VmSnapshot", "A").Prompts);

        Assert.Empty(Texts("Get-VmSnapshot web01"));
    }

    [Theory]
    [InlineData("-Force")]
    [InlineData("-Confirm:$false")]
    [InlineData("-Confirm:$false -Force")]
    public void Nothing_prompts_when_it_is_told_not_to(string switches)
    {
        // The session has no answers, so that any prompt fails the script.
        foreach (string change in Changes) Session.Run($"{change} {switches} -ErrorVariable e; if ($e) {{ throw $e[0] }}").Succeeded();
    }

    [Fact]
    public void Force_does_not_silence_a_Confirm_that_was_asked_for() => Assert.Single(Run("New-VmSnapshot web01 c -Confirm -Force", "N").Prompts);

    [Fact]
    public void What_loses_nothing_does_not_ask() => Run("New-VmSnapshot web01 c; Rename-VmSnapshot web01 c d; Mount-VmVolume web01 spare; Dismount-VmVolume web01 spare; Resize-VmVolume spare 2MB");
}
