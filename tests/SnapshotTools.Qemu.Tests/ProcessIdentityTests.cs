using System.Diagnostics;
using SnapshotTools.Qemu.Launch;
using Xunit;

namespace SnapshotTools.Qemu.Tests;

public class ProcessIdentityTests
{
    [Fact]
    public async Task A_process_with_the_same_id_and_another_start_is_not_touched()
    {
        using var process = Process.Start(new ProcessStartInfo("sleep", "1000"))!;
        try
        {
            var identity = ProcessIdentity.Of(process.Id)!;
            Assert.True(identity.IsAlive);
            var stranger = identity with { StartedAt = identity.StartedAt - 1 };
            Assert.False(stranger.IsAlive);
            stranger.Kill();
            (identity with { Boot = "another boot" }).Kill();
            Assert.False(process.WaitForExit(100));
            identity.Kill();
            Assert.True(await identity.WaitForExitAsync(TimeSpan.FromSeconds(10)));
            Assert.False(identity.IsAlive);
        }
        finally
        {
            process.Kill();
        }
    }

    [Fact]
    public void No_process_has_no_identity()
    {
        Assert.Null(ProcessIdentity.Of(0));
        Assert.Null(ProcessIdentity.Of(-1));
        Assert.Null(ProcessIdentity.Of(int.MaxValue));
    }
}
