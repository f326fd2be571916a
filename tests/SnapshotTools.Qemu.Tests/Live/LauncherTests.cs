using SnapshotTools.Core;
using SnapshotTools.Guest;
using SnapshotTools.Qemu.Launch;
using SnapshotTools.Qemu.Machines;
using SnapshotTools.Qemu.Qmp;
using Xunit;

namespace SnapshotTools.Qemu.Tests.Live;

[Collection(LiveTests.Name)]
public class LauncherTests
{
    [GuestFact]
    public async Task A_guest_boots_with_its_disks_is_found_again_and_shuts_down_when_asked()
    {
        await using var guest = await new LiveGuest(disks: 2).BootAsync();
        Assert.Equal("serial-0\nserial-1\n", await guest.Shell.RunAsync("cat /sys/block/vda/serial; echo; cat /sys/block/vdb/serial; echo"));
        Assert.Contains("guest: up", File.ReadAllText(guest.Machine.Folder!.Console), StringComparison.Ordinal);
        Assert.Equal(MachineState.Running, await guest.Machine.QueryStateAsync());
        Assert.StartsWith("pc-q35-", await guest.Machine.QueryMachineTypeAsync(), StringComparison.Ordinal);

        // While this session is connected another one still sees the state; it connects itself once we let go.
        var other = new QemuLauncher(SnapshotTools.IO.SystemFiles.Instance, runRoot: Path.GetDirectoryName(guest.Machine.Folder.Path));
        Assert.Equal(MachineState.Running, await other.QueryStateAsync(guest.Spec.Id));
        await guest.Machine.PauseAsync();
        Assert.Equal(MachineState.Paused, await other.QueryStateAsync(guest.Spec.Id));
        await guest.Machine.ResumeAsync();
        await guest.Machine.DisposeAsync();
        await using var found = await other.FindAsync(guest.Spec.Id);
        Assert.NotNull(found);
        Assert.Equal(guest.Machine.Process, found.Process);

        var again = await Assert.ThrowsAsync<QemuStartException>(() => other.StartAsync(guest.Spec));
        Assert.Contains("runs already", again.Message, StringComparison.Ordinal);

        Assert.True(await found.ShutDownAsync(TimeSpan.FromSeconds(30)));
        Assert.False(found.Process!.IsAlive);
        Assert.Equal(MachineState.Gone, await other.QueryStateAsync(guest.Spec.Id));
        Assert.Null(await other.FindAsync(guest.Spec.Id));
    }

    [GuestFact]
    public async Task A_machine_whose_session_died_before_it_knew_its_process_is_found()
    {
        await using var guest = await new LiveGuest(disks: 1).BootAsync();
        await guest.Machine.DisposeAsync();
        string record = Path.Combine(guest.Launcher.FolderOf(guest.Spec.Id).Path, "machine.json");
        var begun = System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(record))!;
        begun["Process"] = null;
        File.WriteAllText(record, begun.ToJsonString());

        var other = new QemuLauncher(SnapshotTools.IO.SystemFiles.Instance, runRoot: Path.GetDirectoryName(Path.GetDirectoryName(record)));
        Assert.Equal(MachineState.Running, await other.QueryStateAsync(guest.Spec.Id));
        await using (var found = await other.FindAsync(guest.Spec.Id))
        {
            Assert.Equal(guest.Machine.Process, found!.Process);
            await found.TurnOffAsync();
        }
        // Its pid file may outlive it, and its id be another's.
        File.WriteAllText(Path.Combine(Path.GetDirectoryName(record)!, "pid"), $"{Environment.ProcessId}\n");
        Assert.False(other.IsRunning(guest.Spec.Id));
        Assert.Equal(MachineState.Gone, await other.QueryStateAsync(guest.Spec.Id));
    }

    [GuestFact]
    [System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
    public async Task Files_of_a_machine_are_private()
    {
        await using var guest = new LiveGuest();
        guest.Spec = guest.Spec with { StartPaused = true };
        await guest.StartAsync();
        string folder = guest.Machine.Folder!.Path;
        const UnixFileMode owner = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        Assert.Equal(owner, File.GetUnixFileMode(folder));
        Assert.Equal(owner, File.GetUnixFileMode(Path.GetDirectoryName(folder)!));
        Assert.Equal(MachineState.Paused, await guest.Machine.QueryStateAsync());
    }

    [GuestFact]
    public async Task A_machine_that_cannot_be_built_says_in_qemus_words_why()
    {
        await using var guest = new LiveGuest(disks: 1);
        File.Delete(guest.Spec.Disks[0].Layers[0].Path);
        var error = await Assert.ThrowsAsync<QemuStartException>(() => guest.StartAsync());
        Assert.Contains("web,01", error.Message, StringComparison.Ordinal);
        Assert.Contains("No such file", error.LastWords, StringComparison.Ordinal);
        Assert.Equal(MachineState.Gone, await guest.Launcher.QueryStateAsync(guest.Spec.Id));
    }

    [GuestFact]
    public async Task A_machine_that_died_is_seen_as_gone_with_its_last_words()
    {
        await using var guest = new LiveGuest();
        await guest.StartAsync();
        Testing.Tool.Run("kill", ["-TERM", guest.Machine.Process!.Id.ToString()]);
        Assert.True(await guest.Machine.Process.WaitForExitAsync(TimeSpan.FromSeconds(10)));
        Assert.Equal(MachineState.Gone, await guest.Machine.QueryStateAsync());
        Assert.Contains("terminating on signal 15", guest.Launcher.FolderOf(guest.Spec.Id).LastWords(), StringComparison.Ordinal);
        await guest.Machine.Monitor.Completion;
        await Assert.ThrowsAsync<QmpDisconnectedException>(() => guest.Machine.PauseAsync());
        guest.Launcher.Forget(guest.Spec.Id);
        Assert.False(Directory.Exists(guest.Launcher.FolderOf(guest.Spec.Id).Path));
    }

    [GuestFact]
    public async Task A_machine_without_a_monitor_is_waited_for_until_it_has_ended()
    {
        await using var guest = await DeafAsync();
        var asked = new[] { guest.Launcher.QueryStateAsync(guest.Spec.Id), StateOfFoundAsync() };
        await Task.Delay(300);
        Assert.DoesNotContain(asked, a => a.IsCompleted);
        guest.Machine.Process!.Kill();
        Assert.Equal([MachineState.Gone, MachineState.Gone], await Task.WhenAll(asked));

        async Task<MachineState> StateOfFoundAsync() => await guest.Launcher.FindAsync(guest.Spec.Id) is null ? MachineState.Gone : MachineState.Running;
    }

    [GuestFact]
    public async Task A_machine_whose_connection_ended_is_waited_for_until_it_has_ended()
    {
        await using var guest = await DeafAsync();
        var asked = guest.Machine.QueryStateAsync();
        await Task.Delay(300);
        Assert.False(asked.IsCompleted);
        guest.Machine.Process!.Kill();
        Assert.Equal(MachineState.Gone, await asked);
    }

    [GuestFact]
    public async Task A_machine_that_does_not_respond_is_there_and_can_be_killed()
    {
        await using var guest = await DeafAsync();
        Assert.Equal(MachineState.Silent, await guest.Launcher.QueryStateAsync(guest.Spec.Id));
        var silent = await Assert.ThrowsAsync<QemuSilentException>(() => guest.Launcher.FindAsync(guest.Spec.Id));
        Assert.Contains($"process {guest.Machine.Process!.Id}", silent.Message, StringComparison.Ordinal);
        Assert.True(await guest.Launcher.KillAsync(guest.Spec.Id));
        Assert.False(guest.Machine.Process.IsAlive);
        Assert.Equal(MachineState.Gone, await guest.Launcher.QueryStateAsync(guest.Spec.Id));
    }

    [GuestFact]
    public async Task Turning_off_ends_even_a_qemu_that_does_not_listen()
    {
        await using var guest = new LiveGuest();
        await guest.StartAsync();
        Testing.Tool.Run("kill", ["-STOP", guest.Machine.Process!.Id.ToString()]);
        await guest.Machine.TurnOffAsync(TimeSpan.FromMilliseconds(200));
        Assert.False(guest.Machine.Process.IsAlive);
    }

    [GuestFact]
    public async Task Every_bus_gives_the_guest_its_disk()
    {
        await using var guest = new LiveGuest(disks: 3, machineType: "pc");
        var disks = guest.Spec.Disks;
        guest.Spec = guest.Spec with { Disks = [disks[0], disks[1] with { Bus = DiskBus.Scsi }, disks[2] with { Bus = DiskBus.Ide }] };
        await guest.BootAsync();
        Assert.Equal("524288\n524288\n524288\n", await guest.Shell.RunAsync("cat /sys/block/vda/size /sys/block/sd[ab]/size"));
    }

    [GuestFact]
    public async Task Network_firmware_and_generation_id_are_what_was_asked_for()
    {
        await using var guest = new LiveGuest();
        var generation = Guid.NewGuid();
        guest.Spec = guest.Spec with
        {
            Adapters = [new VmNetworkAdapter("52:54:00:12:34:56"), new VmNetworkAdapter("52:54:00:12:34:57", "none")],
            GenerationId = generation,
            StartPaused = true,
        };
        await guest.StartAsync();
        var answer = await guest.Machine.Monitor.ExecuteAsync("query-vm-generation-id");
        Assert.Equal(generation.ToString(), answer.GetProperty("guid").GetString());
        string path = "/machine/peripheral/adapter1";
        var mac = await guest.Machine.Monitor.ExecuteAsync("qom-get", new() { ["path"] = path, ["property"] = "mac" });
        Assert.Equal("52:54:00:12:34:57", mac.GetString());
    }

    /// <summary>A machine as QEMU is while it ends: its sockets are gone, its process is not.</summary>
    private static async Task<LiveGuest> DeafAsync()
    {
        var guest = new LiveGuest();
        await guest.StartAsync();
        await guest.Machine.DisposeAsync();
        var folder = guest.Launcher.FolderOf(guest.Spec.Id);
        File.Delete(folder.MonitorSocket);
        File.Delete(folder.StatusSocket);
        return guest;
    }
}
