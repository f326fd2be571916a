using SnapshotTools.Cmdlet.Tests.Engine;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests;

/// <summary>What Get-VmSnapshot and the other Get- cmdlets find.</summary>
public sealed class QueryTests : ModuleTest
{
    public QueryTests(PwshSession session)
        : base(session)
    {
        MakeVm("web01", "web02");
        Run("New-VmSnapshot web01 a -Tag keep, php; New-VmSnapshot web01 b -Tag keep; New-VmSnapshot web02 c -Tag Php -ExpiresAt 1h");
    }

    [Theory]
    [InlineData("", "a b c")]
    [InlineData("web01", "a b")]
    [InlineData("WEB0?", "a b c")]
    [InlineData("web01, web02", "a b c")]
    [InlineData("* b", "b")]
    [InlineData("web0[2] *", "c")]
    [InlineData("-Tag keep", "a b")]
    [InlineData("-Tag keep, php", "a")]
    [InlineData("-Tag p*", "a c")]
    [InlineData("-OlderThan 14d", "")]
    [InlineData("-NewerThan 14d", "a b c")]
    [InlineData("-OlderThan 0s", "a b c")]
    [InlineData("-NewerThan 0s", "")]
    [InlineData("-OlderThan 90m", "")]
    [InlineData("-NewerThan 1d12h", "a b c")]
    [InlineData("-OlderThan 30s", "")]
    [InlineData("-NewerThan 2w", "a b c")]
    [InlineData("-NewerThan ([timespan]'1.00:00:00')", "a b c")]
    [InlineData("-OlderThan (Get-Date).AddDays(-1)", "")]
    [InlineData("-NewerThan 1.00:00:00", "a b c")]
    [InlineData("-Latest", "b c")]
    [InlineData("web01 -Latest -Tag php", "a")]
    [InlineData("-Expired", "")]
    public void Snapshots_are_found_by(string arguments, string expected) =>
        Assert.Equal(expected, string.Join(' ', Texts($"Get-VmSnapshot {arguments} | % Name | Sort-Object")));

    [Fact]
    public void What_has_expired_is_found()
    {
        Run("Set-VmSnapshot web01 a -ExpiresAt ([DateTimeOffset]::UtcNow.AddSeconds(3))");
        Assert.Equal(["a"], Texts("while (-not (Get-VmSnapshot -Expired)) { }; Get-VmSnapshot -Expired | % Name"));

        Run("Set-VmSnapshot web01 a -NeverExpires");
        Assert.Empty(Texts("Get-VmSnapshot -Expired"));
    }

    [Fact]
    public void Description_tags_and_expiry_change_only_where_they_are_named()
    {
        Run("Set-VmSnapshot web01 a -Description why; Set-VmSnapshot web01 a -ExpiresAt 2040-01-31; Set-VmSnapshot web01 a -Tag x");
        Assert.Equal(["why 2040-01-31 x"], Texts("Get-VmSnapshot web01 a | % { '{0} {1:yyyy-MM-dd} {2}' -f $_.Description, $_.ExpiresAt, ($_.Tags -join ',') }"));

        Run("Set-VmSnapshot web01 a -Description '' -Tag @()");
        Assert.Equal([" 2040-01-31 "], Texts("Get-VmSnapshot web01 a | % { '{0} {1:yyyy-MM-dd} {2}' -f $_.Description, $_.ExpiresAt, ($_.Tags -join ',') }"));
    }

    [Fact]
    public void Ensure_gives_back_what_is_there() =>
        Assert.Equal(["True"], Texts("$s = Get-VmSnapshot web01 a; [string]((New-VmSnapshot web01 a -Ensure).Id -eq $s.Id -and @(Get-VmSnapshot web01).Count -eq 2)"));

    [Theory]
    [InlineData("-Scope All", "web01-root web01-data")]
    [InlineData("-Scope Boot", "web01-root")]
    [InlineData("-Scope Data", "web01-data")]
    [InlineData("-Volume web01-data", "web01-data")]
    [InlineData("-Volume *-root, web01-data", "web01-root web01-data")]
    public void A_snapshot_covers(string arguments, string expected) => Assert.Equal([expected], Texts($"(New-VmSnapshot web01 {arguments}).Volumes.VolumeName -join ' '"));

    [Fact]
    public void The_tree_marks_the_present_and_keeps_the_other_branch()
    {
        Run("Restore-VmSnapshot web01 a -Force; New-VmSnapshot web01 d; New-VmSnapshot web01 e");

        Assert.Equal(["● a", "├─● b", "└─● d", "  ● e", "  ○ (present)"], Texts("Get-VmSnapshot web01 -Tree | % Tree"));
        Assert.Equal(["● d", "○ (present)"], Texts("Get-VmSnapshot web01 d -Tree | % Tree"));
        Assert.Equal(["web01", "web02"], Texts("Get-VmSnapshot -Tree | % VmName | Sort-Object -Unique"));
    }

    [Fact]
    public void The_tree_of_a_VM_without_snapshots_is_the_present()
    {
        MakeVm("new");

        Assert.Equal(["○ (present)"], Texts("Get-VmInstance new | Get-VmSnapshot -Tree | % Tree"));
    }

    [Fact]
    public void Operations_are_listed_in_order()
    {
        Assert.Equal(["Snapshot web01/a", "Snapshot web01/b", "Snapshot web02/c"], Texts("Get-SnapshotOperation | Where-Object Kind -eq Snapshot | % { \"$_\" }"));
        Assert.Empty(Texts("Get-SnapshotOperation -State Failed"));
        Assert.Equal(["True"], Texts("$all = @(Get-SnapshotOperation); [string](($all | Get-SnapshotOperation).Count -eq $all.Count)"));
    }
}
