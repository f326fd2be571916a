using SnapshotTools.IO;
using SnapshotTools.Qemu.Launch;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Qemu.Tests;

public sealed class RunRootsTests : IDisposable
{
    private readonly TempFolder _folder = new();

    [Theory]
    [InlineData("own", "/xdg", true, "own /run/snapshottools")]
    [InlineData(null, "/xdg", true, "/run/snapshottools")]
    [InlineData(null, "/xdg", false, "/xdg/snapshottools /run/user/1000/snapshottools TMP")]
    [InlineData(null, "/run/user/1000", false, "/run/user/1000/snapshottools TMP")]
    [InlineData(null, null, false, "/run/user/1000/snapshottools TMP")]
    [InlineData("own", null, false, "own /run/user/1000/snapshottools TMP")]
    public void A_session_looks_wherever_another_one_of_its_user_may_have_started_a_machine(string? named, string? runtime, bool isRoot, string expected)
    {
        string temporary = Path.Combine(Path.GetTempPath(), "snapshottools-" + Environment.UserName);
        var roots = RunRoots.For(v => v == "SNAPSHOTTOOLS_RUN" ? named : v == "XDG_RUNTIME_DIR" ? runtime : null, isRoot, "1000", path => path is "/run" or "/run/user/1000");
        Assert.Equal(expected.Replace("TMP", temporary, StringComparison.Ordinal), string.Join(' ', roots));
    }

    [Fact]
    public void A_machine_that_runs_is_found_in_any_of_them_and_one_that_ended_is_begun_in_the_first()
    {
        string[] roots = [_folder.File("login"), _folder.File("cron")];
        var machine = Guid.CreateVersion7();
        var running = RunFolder.Of(SystemFiles.Instance, machine, [roots[1]]);
        running.Create();
        var record = new MachineRecord(machine, "web01", ProcessIdentity.Of(Environment.ProcessId)!, DateTimeOffset.UtcNow, false, []);
        running.Save(record);
        Assert.Equal(running.Path, RunFolder.Of(SystemFiles.Instance, machine, roots).Path);
        running.Save(record with { Process = record.Process with { StartedAt = record.Process.StartedAt - 1 } });
        Assert.StartsWith(roots[0], RunFolder.Of(SystemFiles.Instance, machine, roots).Path, StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();
}
