using SnapshotTools.Cmdlet.Tests.Engine;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests;

/// <summary>Errors have a stable id, a category, a target, and a message that says what to do.</summary>
public sealed class ErrorTests : ModuleTest
{
    public ErrorTests(PwshSession session)
        : base(session)
    {
        MakeVm("web01", "web02");
        Run("New-VmSnapshot web01 before-upgrade; New-VmSnapshot web01 before-patch; New-VmVolume spare 1MB; New-VolumeSnapshot spare s");
    }

    [Fact]
    public void Each_cause_has_its_id_category_and_target()
    {
        (string Script, string Id, string Category, string Target)[] cases =
        [
            ("Get-VmInstance nosuch", "VmNotFound", "ObjectNotFound", "nosuch"),
            ("Get-VmVolume nosuch", "VolumeNotFound", "ObjectNotFound", "nosuch"),
            ("Get-VmSnapshot nosuch", "VmNotFound", "ObjectNotFound", "nosuch"),
            ("Get-VmSnapshot web01 nosuch", "SnapshotNotFound", "ObjectNotFound", "nosuch"),
            ("Get-VmSnapshot -Name nosuch", "SnapshotNotFound", "ObjectNotFound", "nosuch"),
            ("Get-VolumeSnapshot spare nosuch", "SnapshotNotFound", "ObjectNotFound", "nosuch"),
            ("Get-SnapshotOperation 11111111-1111-1111-1111-111111111111", "OperationNotFound", "ObjectNotFound", "11111111-1111-1111-1111-111111111111"),
            ("New-VmSnapshot nosuch* x", "VmNotFound", "ObjectNotFound", "nosuch*"),
            ("New-VolumeSnapshot nosuch* x", "VolumeNotFound", "ObjectNotFound", "nosuch*"),
            ("New-VmSnapshot web01 before-upgrade", "NameExists", "InvalidOperation", "before-upgrade"),
            ("New-VmSnapshot web01 a/b", "InvalidName", "InvalidArgument", "a/b"),
            ("New-VmVolume spare 1MB", "NameExists", "InvalidOperation", "spare"),
            ("New-VmVolume huge -1", "InvalidArgument", "InvalidArgument", "huge"),
            ("New-VmVolume image -ImagePath ./nosuch.raw", "ImageNotFound", "ObjectNotFound", "nosuch.raw"),
            ("New-VmInstance web01", "NameExists", "InvalidOperation", "web01"),
            ("New-VmInstance x nosuch", "VolumeNotFound", "ObjectNotFound", "nosuch"),
            ("New-VmInstance x spare -SharedVolume other", "InvalidArgument", "InvalidArgument", "other"),
            ("Restore-VmSnapshot web01 before-* -Force", "AmbiguousName", "InvalidArgument", "before-*"),
            ("Remove-VmSnapshot web01 before-* -Force", "AmbiguousName", "InvalidArgument", "before-*"),
            ("Restore-VmSnapshot web01 -FailAction Retry -Force", "NoFailedRestore", "InvalidOperation", "web01"),
            ("Resize-VmVolume web01-root 1GB", "VolumeHasSnapshots", "InvalidOperation", "web01-root"),
            ("Dismount-VmVolume web01 web01-data", "VolumeInSnapshot", "InvalidOperation", "web01-data"),
            ("Dismount-VmVolume web01 spare", "VolumeNotAttached", "InvalidOperation", "spare"),
            ("Mount-VmVolume web02 web01-data", "VolumeAttached", "InvalidOperation", "web01-data"),
            ("Remove-VmVolume spare -Force", "VolumeHasSnapshots", "InvalidOperation", "spare"),
            ("Remove-VmVolume web02-data -Force", "VolumeAttached", "InvalidOperation", "web02-data"),
            ("Remove-VmInstance web01 -Force", "VmHasSnapshots", "InvalidOperation", "web01"),
            ("Restore-VolumeSnapshot web02-root (Get-VolumeSnapshot spare s).Id -Force", "NotOriginalVolume", "InvalidArgument", "s"),
            ("Get-VmInstance -Store ./nowhere", "StoreNotFound", "ObjectNotFound", "nowhere"),
            ("Get-VmInstance -Store variable:x", "InvalidPath", "InvalidArgument", "variable:x"),
            ("Get-VmInstance -Store nodrive:/x", "InvalidPath", "InvalidArgument", "nodrive:/x"),
            ("Get-VmInstance -Store noprovider::x", "InvalidPath", "InvalidArgument", "noprovider::x"),
            ("New-VmVolume image -ImagePath 'Q:\\img\\a.vhdx'", "InvalidPath", "InvalidArgument", "Q:\\img\\a.vhdx"),
            ("Connect-VmInstance web01 localhost:4444", "InvalidPath", "InvalidArgument", "localhost:4444"),
            ("Get-VmInstance web[08-12]", "InvalidArgument", "InvalidArgument", "web[08-12]"),
            ("Get-VmSnapshot web[08-12]", "InvalidArgument", "InvalidArgument", "web[08-12]"),
            ("Get-VmSnapshot web01 before-[z-a]", "InvalidArgument", "InvalidArgument", "before-[z-a]"),
            ("Get-VolumeSnapshot web[08-12]", "InvalidArgument", "InvalidArgument", "web[08-12]"),
            ("Get-VmVolume web[08-12]", "InvalidArgument", "InvalidArgument", "web[08-12]"),
            ("New-VmSnapshot web[08-12] x", "InvalidArgument", "InvalidArgument", "web[08-12]"),
            ("Remove-VmSnapshot web01 before-[z-a] -Force", "InvalidArgument", "InvalidArgument", "before-[z-a]"),
            ("$null = New-Item -Force foreign/file; Initialize-SnapshotStore foreign", "NotAStore", "InvalidOperation", "foreign"),
        ];
        string[] before = Everything();

        foreach (var (script, id, category, target) in cases)
        {
            var result = Session.Run(script);
            Assert.True(result.Errors.Count == 1, $"{script} -> {string.Join("; ", result.Errors.Select(e => e.Message))}");
            var error = result.Errors[0];
            Assert.True((error.Id, error.Category) == (id, category), $"{script} -> {error.Id}, {error.Category}: {error.Message}");
            Assert.True(error.Target?.EndsWith(target, StringComparison.Ordinal) == true, $"{script} -> target '{error.Target}': {error.Message}");
            Assert.True(error.Message.TrimEnd().Length > 20, $"{script} -> {error.Message}");
            Assert.False(error.Terminating, script);
        }
        Assert.Equal(before, Everything());
    }

    [Fact]
    public void What_is_not_named_is_asked_for_in_words()
    {
        foreach (string cmdlet in new[] { "New-VmSnapshot", "Restore-VmSnapshot", "Remove-VmSnapshot", "Remove-VmSnapshot web01", "Rename-VmSnapshot web01 before-patch", "Set-VmSnapshot web01 before-patch", "New-VolumeSnapshot",
                     "Restore-VolumeSnapshot spare", "Remove-VolumeSnapshot spare", "Resize-VmVolume", "Resize-VmVolume spare", "Remove-VmVolume", "Mount-VmVolume web01", "Dismount-VmVolume web01", "Remove-VmInstance", "New-VmVolume", "New-VmVolume x", "Get-VmVolume spare | Mount-VmVolume" })
        {
            var result = Session.Run(cmdlet);
            Assert.True(result.Errors is [{ Id: "InvalidArgument" }], $"{cmdlet} -> {string.Join(", ", result.Errors.Select(e => e.Id))}");
            Assert.Matches("^(No |It is not said|Nothing to change)", result.Errors[0].Message);
        }
    }

    [Fact]
    public void A_pattern_that_matches_nothing_is_silence_where_one_looks() =>
        Assert.Empty(Run("Get-VmInstance x*; Get-VmVolume x*; Get-VmSnapshot x*; Get-VmSnapshot web01 x*; Get-VmSnapshot web* nosuch; Get-VolumeSnapshot x*").Output);

    [Fact]
    public void An_ambiguous_pattern_lists_the_candidates()
    {
        string message = Fail("AmbiguousName", "Restore-VmSnapshot web01 before-* -Force").Message;

        Assert.Contains("before-upgrade", message, StringComparison.Ordinal);
        Assert.Contains("before-patch", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_pattern_that_matches_one_will_do() => Run("Restore-VmSnapshot web01 *-patch -Force; Remove-VmSnapshot web01 *-patch -Force");

    [Fact]
    public void An_id_works_in_place_of_a_name() => Assert.Equal(["before-patch"], Texts(
        "$s = Get-VmSnapshot web01 before-patch; Restore-VmSnapshot $s.VmId $s.Id -Force; (Get-VmSnapshot -Id $s.Id).Name; Remove-VmSnapshot $s.VmId $s.Id -Force"));

    [Fact]
    public void A_path_or_pattern_that_is_none_stops_nothing_else()
    {
        var result = Session.Run("""
            Set-Content images.csv 'Name,ImagePath', 'far,Q:\img\a.raw', 'near,near.raw'; [IO.File]::WriteAllBytes("$PWD/near.raw", [byte[]]::new(1MB))
            Import-Csv images.csv | New-VmVolume | % Name; Get-VmInstance web[08-12], web02 | % Name; 'reached'
            """);
        Assert.Equal(["InvalidPath", "InvalidArgument"], result.Errors.Select(e => e.Id));
        Assert.Equal(["near", "web02", "reached"], result.Output.Select(o => o.ToString()));
        Assert.Contains("tcp:HOST:PORT", Fail("InvalidPath", "Connect-VmInstance web01 localhost:4444").Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ErrorAction_Stop_ends_the_script() => Assert.True(Fail("VmNotFound", "'nosuch', 'web01' | New-VmSnapshot -Name x -ErrorAction Stop").Terminating);

    [Theory]
    [InlineData("14")]
    [InlineData("2y")]
    [InlineData("soon")]
    [InlineData("([timespan]::FromDays(-1))")]
    public void An_age_without_a_unit_is_refused(string age) => Assert.Contains("age", Session.Run($"Get-VmSnapshot -OlderThan {age}").Failed("ParameterArgumentTransformationError").Message, StringComparison.Ordinal);
}
