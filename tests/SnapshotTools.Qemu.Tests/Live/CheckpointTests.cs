using SnapshotTools.Core;
using SnapshotTools.Guest;
using SnapshotTools.IO;
using SnapshotTools.Qemu.Blocks;
using SnapshotTools.Qemu.Live;
using SnapshotTools.Qemu.Machines;
using SnapshotTools.Qemu.Memory;
using Xunit;
using Xunit.Abstractions;

namespace SnapshotTools.Qemu.Tests.Live;

[Collection(LiveTests.Name)]
public class CheckpointTests(ITestOutputHelper output)
{
    [GuestFact("e2fsck", "debugfs")]
    public Task Background_checkpoint_goes_on_in_the_very_second() => GoesOnInTheVerySecondAsync(MemoryMethod.Background);

    [GuestFact("e2fsck", "debugfs")]
    public Task Precopy_checkpoint_goes_on_in_the_very_second() => GoesOnInTheVerySecondAsync(MemoryMethod.Precopy);

    private async Task GoesOnInTheVerySecondAsync(MemoryMethod method)
    {
        await using var guest = await new LiveGuest(disks: 2).BootAsync();
        await guest.StartWorkAsync(memoryMiB: 32);
        using var ticks = guest.ListenToTicks();
        string boot = await guest.Shell.RunAsync("cat /proc/sys/kernel/random/boot_id; echo before >/run/marker");
        var bases = guest.Spec.Disks.Select(d => d.Layers[0]).ToArray();
        var heads = bases.Select(guest.NewLayer).ToArray();
        string memory = guest.File("memory");

        ticks.Take();
        using (var file = SystemFiles.Instance.Create(memory))
        {
            await using var disks = await guest.PrepareAsync(heads);
            var result = await Checkpoint.TakeAsync(guest.Machine, disks, file, method: method);
            await guest.WaitForWorkAsync();
            var gap = ticks.Take().Gap;
            var size = await result.Completion;
            output.WriteLine($"{result.Method}: pause {result.Pause.TotalMilliseconds:0.0} ms, seen by the guest {gap.TotalMilliseconds:0.0} ms, then "
                + $"{ticks.Take().Gap.TotalMilliseconds:0.0} ms; {size.StreamBytes >> 20} MiB in a file of {size.FileBytes >> 20} MiB");
            Assert.Equal(method == MemoryMethod.Precopy ? MemoryMethod.Stopped : method, result.Method);    // on TCG, which loses track of what changes
        }
        await guest.Shell.RunAsync("echo after >/run/marker");
        await guest.WaitForWorkAsync();
        long second = guest.LastRecordOf(bases[1], "second"), first = guest.LastRecordOf(bases[0], "first");
        Assert.True(second <= first && first <= second + 1, $"{first} and {second}");

        await guest.RestoreAsync(bases, memory);
        Assert.Equal(MachineState.Paused, await guest.Machine.QueryStateAsync());
        await guest.Machine.ResumeAsync();
        await guest.ConnectShellAsync();
        Assert.Equal(boot + "before\n", await guest.Shell.RunAsync("cat /proc/sys/kernel/random/boot_id /run/marker"));
        long[] told = [.. (await guest.Shell.RunAsync("cat /run/work")).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => long.Parse(l.Split(' ')[1]))];
        Assert.Equal(told, told.Order());
        await guest.WaitForWorkAsync();
        Assert.True(await guest.QueryWorkAsync() >= first);

        // What the guest wrote after the restore continues what it wrote before the checkpoint.
        await guest.Shell.RunAsync("sync");
        long written = await guest.QueryWorkAsync();
        await guest.Machine.TurnOffAsync();
        Assert.True(guest.LastRecordOf(guest.Spec.Disks[0].Layers[0], "first") >= written);
    }

    [GuestFact]
    public async Task Too_long_a_pause_is_given_up_and_nothing_has_changed()
    {
        await using var guest = await new LiveGuest(disks: 1).BootAsync();
        await guest.StartWorkAsync(memoryMiB: 64);
        var below = guest.Spec.Disks[0].Layers[0];
        var before = (await BlockGraph.QueryAsync(guest.Machine)).Nodes.Order().ToArray();
        foreach (var (method, limit) in new[] { (MemoryMethod.Stopped, 2.0), (MemoryMethod.Background, 0.001), (MemoryMethod.Precopy, 0.001) })
        {
            string memory = guest.File($"memory-{method}");
            using var file = SystemFiles.Instance.Create(memory);
            await using (var disks = await guest.PrepareAsync([guest.NewLayer(below)]))
            {
                await Assert.ThrowsAsync<PauseTooLongException>(() =>
                    Checkpoint.TakeAsync(guest.Machine, disks, file, TimeSpan.FromMilliseconds(limit), method));
                Assert.False(disks.IsCommitted);
            }
            Assert.Equal(MachineState.Running, await guest.Machine.QueryStateAsync());
            await guest.WaitForWorkAsync();
            Assert.Equal(before, (await BlockGraph.QueryAsync(guest.Machine)).Nodes.Order());
            Assert.Throws<MemoryImageException>(() => ReadAll(file));
        }

        // And a checkpoint is possible afterwards, in either way.
        foreach (var method in new[] { MemoryMethod.Stopped, MemoryMethod.Background })
        {
            var head = guest.NewLayer(below);
            using var good = SystemFiles.Instance.Create(guest.File($"good-{method}"));
            await using var again = await guest.PrepareAsync([head]);
            await (await Checkpoint.TakeAsync(guest.Machine, again, good, method: method)).Completion;
            ReadAll(good);
            below = head;
        }
    }

    [GuestFact]
    public async Task A_memory_file_that_cannot_be_written_does_not_hold_the_guest()
    {
        await using var guest = await new LiveGuest(disks: 1).BootAsync();
        await guest.StartWorkAsync(memoryMiB: 64);
        var below = guest.Spec.Disks[0].Layers[0];
        var head = guest.NewLayer(below);
        using var file = new FullDisk(SystemFiles.Instance.Create(guest.File("memory")), room: 4 << 20);
        await using (var disks = await guest.PrepareAsync([head]))
        {
            var result = await Checkpoint.TakeAsync(guest.Machine, disks, file);
            await Assert.ThrowsAsync<DiskFullException>(() => result.Completion);
        }
        await guest.WaitForWorkAsync();
        Assert.Equal(MachineState.Running, await guest.Machine.QueryStateAsync());

        using var good = SystemFiles.Instance.Create(guest.File("memory2"));
        await using var again = await guest.PrepareAsync([guest.NewLayer(head)]);
        await (await Checkpoint.TakeAsync(guest.Machine, again, good)).Completion;
        await guest.WaitForWorkAsync();
    }

    [GuestFact]
    public async Task A_damaged_memory_image_is_refused()
    {
        await using var guest = new LiveGuest(disks: 1);
        guest.Spec = guest.Spec with { StartPaused = true };
        await guest.StartAsync();
        var below = guest.Spec.Disks[0].Layers[0];
        string memory = guest.File("memory");
        using (var file = SystemFiles.Instance.Create(memory))
        {
            await using var disks = await guest.PrepareAsync([guest.NewLayer(below)]);
            // Before its first instruction there is nothing to save; once it has run it can be saved standing, and stands on.
            await Assert.ThrowsAsync<MigrationException>(() => Checkpoint.TakeAsync(guest.Machine, disks, file));
            await guest.Machine.ResumeAsync();
            await guest.Machine.PauseAsync();
            await (await Checkpoint.TakeAsync(guest.Machine, disks, file)).Completion;
            Assert.Equal(MachineState.Paused, await guest.Machine.QueryStateAsync());
        }
        byte[] content = File.ReadAllBytes(memory);
        content[content.Length / 2] ^= 0x40;    // the first frame, too, so that QEMU is given nothing at all
        File.WriteAllBytes(memory, content);
        await Assert.ThrowsAsync<MemoryImageException>(() => guest.RestoreAsync([below], memory));
        File.WriteAllBytes(memory, content[..(content.Length / 2)]);
        await Assert.ThrowsAsync<MemoryImageException>(() => guest.RestoreAsync([below], memory));
    }

    [GuestFact]
    public async Task A_guest_left_standing_by_a_broken_snapshot_of_its_memory_is_set_going()
    {
        await using var guest = await new LiveGuest(disks: 1, memoryMiB: 256).BootAsync();
        await guest.StartWorkAsync(memoryMiB: 96);
        using var ticks = guest.ListenToTicks();
        await guest.WaitForWorkAsync();
        var migration = new Migration(guest.Machine);
        await migration.SetCapabilitiesAsync(Migration.BackgroundSnapshot, default);
        var (pipe, address) = await migration.OpenForSavingAsync(isFull: false, default);
        await migration.StartAsync(address);
        byte[] some = new byte[1 << 20];
        await (await pipe.OpenAsync()).ReadExactlyAsync(some);
        await pipe.DisposeAsync();      // as when the process that reads is killed
        await LiveGuest.WaitUntilAsync(() => ticks.Take().Gap > TimeSpan.FromMilliseconds(700), "the guest stands");

        Assert.True(WriteProtection.Release(guest.Machine.Process!));
        Assert.False(WriteProtection.Release(guest.Machine.Process!));
        await guest.WaitForWorkAsync();

        using var good = SystemFiles.Instance.Create(guest.File("memory"));
        await using var again = await guest.PrepareAsync([guest.NewLayer(guest.Spec.Disks[0].Layers[0])]);
        await (await Checkpoint.TakeAsync(guest.Machine, again, good, method: MemoryMethod.Background)).Completion;
        await guest.WaitForWorkAsync();
    }

    [GuestFact]
    public async Task A_machine_that_dies_ends_the_save()
    {
        await using var guest = await new LiveGuest(disks: 1).BootAsync();
        await guest.StartWorkAsync(memoryMiB: 64);
        using var file = SystemFiles.Instance.Create(guest.File("memory"));
        await using var disks = await guest.PrepareAsync([guest.NewLayer(guest.Spec.Disks[0].Layers[0])]);
        var result = await Checkpoint.TakeAsync(guest.Machine, disks, file);
        guest.Machine.Process!.Kill();
        await Assert.ThrowsAnyAsync<IOException>(() => result.Completion);
        Assert.Throws<MemoryImageException>(() => ReadAll(file));
    }

    private static void ReadAll(IBlockFile file) => MemoryImage.ReadAsync(file, Stream.Null).GetAwaiter().GetResult();
}
