using SnapshotTools.Core;
using SnapshotTools.Embedded;
using SnapshotTools.Guest;
using SnapshotTools.IO;
using SnapshotTools.Testing;
using Xunit;
using Xunit.Abstractions;

namespace SnapshotTools.Qemu.Tests.Live;

/// <summary>The whole engine over a real QEMU and a real guest: started from the store, snapshotted at work, brought back.</summary>
[Collection(LiveTests.Name)]
public sealed class EngineLiveTests(ITestOutputHelper output) : IDisposable
{
    private static readonly string[] Bios = ["/usr/share/seabios/bios-256k.bin", "/usr/share/qemu/bios-256k.bin"];

    private readonly TempFolder _folder = new();
    private SnapshotEngine _engine = null!;
    private GuestLimit? _limit;

    [GuestFact("e2fsck")]
    public async Task A_running_guest_is_snapshotted_and_restored_without_losing_a_synced_record()
    {
        PrepareVm();
        Assert.Equal(VmState.Running, _engine.Machines.Start("web01").Run().State);
        using (var shell = await ConnectAsync())
        {
            await StartWorkAsync(shell);
            var snapshot = _engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "live" }).Run();
            output.WriteLine($"pause {snapshot.PauseDuration!.Value.TotalMilliseconds:0.0} ms");
            Assert.Equal(SnapshotConsistency.Crash, snapshot.Consistency);
            await WaitForWorkAsync(shell);
            Assert.Equal(ErrorIds.VmNotStopped, Assert.Throws<SnapshotException>(() => _engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "live" })).ErrorId);
        }
        // What the frozen layers hold is as after a power cut, of one instant.
        var parts = _engine.Snapshots.Get("web01", "live").Volumes;
        foreach (var part in parts)
        {
            string raw = _folder.File(part.VolumeName + ".raw");
            _engine.Volumes.Export(part.VolumeName, "live", raw, ImageFileFormat.Raw).Run();
            Tool.Run("e2fsck", ["-p", raw], 1);
            Tool.Run("e2fsck", ["-f", "-n", raw]);
        }

        // Ctrl+C in the moment in which it is done: what ran runs again.
        using var stop = new CancellationTokenSource();
        void Look(string line)
        {
            if (line.Contains("the stable paths lead", StringComparison.Ordinal)) stop.Cancel();
        }
        var restored = _engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "live", StopVm = true }).Run(new RunOptions { Cancellation = stop.Token, Log = Look });
        Assert.Equal((true, VmState.Running), (stop.IsCancellationRequested, restored.State));
        using (var shell = await ConnectAsync())
            await shell.RunAsync("mkdir -p /mnt/a; mount -t ext4 /dev/vda /mnt/a; ls /mnt/a/first");
        _engine.Machines.Stop("web01", turnOff: true, TimeSpan.FromSeconds(10)).Run();
        Assert.Equal(VmState.Stopped, _engine.Machines.Get("web01").State);
        Assert.Equal(ErrorIds.MemoryNotAvailable, Assert.Throws<SnapshotException>(() => _engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "x", Memory = true })).ErrorId);
        Assert.DoesNotContain(_engine.Test(), f => f.Severity == FindingSeverity.Error);
    }

    [GuestFact]
    public async Task A_checkpoint_goes_on_in_the_very_second_without_a_reboot()
    {
        PrepareVm();
        _engine.Machines.Start("web01").Run();
        long at;
        using (var shell = await ConnectAsync())
        {
            await StartWorkAsync(shell);
            await shell.RunAsync("echo marker >/run/marker");
            var checkpoint = _engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "check", Memory = true }).Run();
            output.WriteLine($"pause {checkpoint.PauseDuration!.Value.TotalMilliseconds:0.0} ms, {ByteSize.Format(checkpoint.SizeBytes)}");
            Assert.True(checkpoint.HasMemory);
            await WaitForWorkAsync(shell);
            at = await RecordAsync(shell);
            await shell.RunAsync("rm /run/marker");
        }
        var before = _engine.Machines.Get("web01").GenerationId;
        Assert.Equal(VmState.Suspended, _engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "check", StopVm = true, NewGenerationId = true }).Run().State);
        // While it is suspended its memory is part of a backup that is kept, and outlives that.
        Assert.Equal(VmState.Suspended, _engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "check", KeepBackup = true }).Run().State);
        var backup = Assert.Single(_engine.Snapshots.Find(new SnapshotQuery()), s => s.IsBackup);
        Assert.True(backup.HasMemory);
        _engine.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web01", Snapshot = backup.Name }).Run();
        var started = _engine.Machines.Start("web01").Run();
        Assert.Equal(VmState.Running, started.State);
        Assert.NotEqual(before, started.GenerationId);
        Assert.Contains($"vmgenid,guid={started.GenerationId}", File.ReadAllText(Directory.GetFiles(_folder.File("run"), "machine.json", SearchOption.AllDirectories).Single()), StringComparison.Ordinal);
        using (var shell = await ConnectAsync())
        {
            Assert.Contains("marker", await shell.RunAsync("cat /run/marker"), StringComparison.Ordinal);
            // The work went on where it was: what it has told is one row of numbers, which began before the checkpoint.
            long[] told = [.. (await shell.RunAsync("cat /run/work")).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => long.Parse(l.Split(' ')[1]))];
            Assert.Equal(told, told.Order());
            Assert.True(told[0] < at, $"{told[0]} and {at}");
            await WaitForWorkAsync(shell);
        }
        _engine.Machines.Stop("web01", turnOff: true, TimeSpan.FromSeconds(10)).Run();
    }

    [GuestFact("qemu-io")]
    public async Task A_memory_is_not_set_over_disks_that_something_else_has_written_to()
    {
        PrepareVm();
        _engine.Machines.Start("web01").Run();
        using (var shell = await ConnectAsync()) await StartWorkAsync(shell);
        _engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "check", Memory = true }).Run();
        _engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "check", StopVm = true }).Run();
        string memory = Assert.Single(Directory.GetFiles(Path.Combine(_engine.GetStore().Path, "memory")));
        File.Move(memory, memory + ".away");
        Assert.Equal(ErrorIds.MemoryMissing, Assert.Throws<SnapshotException>(() => _engine.Machines.Start("web01").Run()).ErrorId);
        File.Move(memory + ".away", memory);
        _engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "of the disks" }).Run();   // another empty layer between
        var volume = _engine.Machines.Get("web01").Volumes[0].Volume;
        Tool.Run("qemu-io", ["-f", "qcow2", "-c", "write 40M 64k", _engine.Volumes.Get(volume).Path]);

        var error = Assert.Throws<SnapshotException>(() => _engine.Machines.Start("web01").Run());

        Assert.Equal(ErrorIds.MemoryOutdated, error.ErrorId);
        Assert.Contains($"'{volume}'", error.Message, StringComparison.Ordinal);
        Assert.Equal(VmState.Suspended, _engine.Machines.Get("web01").State);
        _engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "check" }).Run();
        Assert.Equal(VmState.Running, _engine.Machines.Start("web01").Run().State);
        using (var shell = await ConnectAsync()) await WaitForWorkAsync(shell);
        _engine.Machines.Stop("web01", turnOff: true, TimeSpan.FromSeconds(10)).Run();
    }

    [GuestFact]
    public async Task A_volume_snapshot_that_is_cancelled_after_the_switch_is_taken_back_at_once()
    {
        await Task.Yield();
        PrepareVm();
        _engine.Machines.Start("web01", paused: true).Run();
        using var cancel = new CancellationTokenSource();
        Assert.ThrowsAny<OperationCanceledException>(() => _engine.VolumeSnapshots.Create("db", "never", null, ensure: false).Run(new RunOptions
        {
            Cancellation = cancel.Token,
            Log = line =>
            {
                if (line.Contains("writes to the new head", StringComparison.Ordinal)) cancel.Cancel();
            },
        }));
        Assert.Equal(OperationState.Cancelled, _engine.Operations.Find().Single(o => o.Target == "db/never").State);
        Assert.Empty(_engine.VolumeSnapshots.Find([], []));
        Assert.DoesNotContain(_engine.Test(), f => f.Severity != FindingSeverity.Information);   // the machine writes to a head that the catalog knows
        _engine.VolumeSnapshots.Create("db", "now", null, ensure: false).Run();
        _engine.Machines.Stop("web01", turnOff: true, TimeSpan.FromSeconds(10)).Run();
    }

    [GuestFact]
    public async Task The_backup_of_a_running_vm_has_its_memory_and_goes_on_where_it_was()
    {
        PrepareVm();
        _engine.Machines.Start("web01").Run();
        using (var shell = await ConnectAsync())
        {
            await StartWorkAsync(shell);
            _engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "before" }).Run();
            // A snapshot of one volume under the guest; and a restore of one is refused while it is in use.
            Assert.Equal("db", _engine.VolumeSnapshots.Create("db", "alone", null, ensure: false).Run().VolumeName);
            Assert.Equal(ErrorIds.VolumeInUse, Assert.Throws<SnapshotException>(() => _engine.VolumeSnapshots.Restore("db", "alone", keepBackup: false)).ErrorId);
            Assert.Equal(ErrorIds.VmNotStopped, Assert.Throws<SnapshotException>(() => _engine.VolumeSnapshots.Restore("os", "before", keepBackup: false)).ErrorId);
            await shell.RunAsync("echo only-in-memory >/run/marker");
            await WaitForWorkAsync(shell);
        }
        Assert.Equal(VmState.Running, _engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "before", StopVm = true, KeepBackup = true }).Run().State);
        using (var shell = await ConnectAsync())
            Assert.NotEqual(0, (await shell.TryRunAsync("cat /run/marker")).ExitCode);
        var backup = Assert.Single(_engine.Snapshots.Find(new SnapshotQuery()), s => s.IsBackup);
        Assert.True(backup.HasMemory);
        Assert.Equal(SnapshotConsistency.Memory, backup.Consistency);

        Assert.Equal(VmState.Running, _engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = backup.Name, StopVm = true, Start = true }).Run().State);
        using (var shell = await ConnectAsync())
        {
            Assert.Contains("only-in-memory", await shell.RunAsync("cat /run/marker"), StringComparison.Ordinal);
            await WaitForWorkAsync(shell);
        }
        _engine.Machines.Stop("web01", turnOff: true, TimeSpan.FromSeconds(10)).Run();
        Assert.DoesNotContain(_engine.Test(), f => f.Severity == FindingSeverity.Error);
    }

    [GuestFact]
    public async Task A_restore_that_fails_after_the_stop_lets_the_guest_go_on_in_the_very_second()
    {
        PrepareVm();
        _engine.Machines.Start("web01").Run();
        using (var shell = await ConnectAsync())
        {
            await StartWorkAsync(shell);
            _engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "before" }).Run();
            await shell.RunAsync("echo only-in-memory >/run/marker");
        }
        // One volume of two and no backup to be kept: the memory is there all the same.
        var request = new RestoreRequest { Vm = "web01", Snapshot = "before", Volumes = ["db"], StopVm = true };
        var clock = System.Diagnostics.Stopwatch.StartNew();
        Assert.Equal(ErrorIds.RestoreRolledBack, FailToRestore(request with { FailAction = FailAction.Rollback }).ErrorId);
        output.WriteLine($"stopped, failed and running again within {clock.Elapsed.TotalSeconds:0.0} s");
        Assert.Equal(VmState.Running, _engine.Machines.Get("web01").State);
        await AssertWorkWentOnAsync();

        var error = FailToRestore(request);
        Assert.Equal(ErrorIds.RestoreFailed, error.ErrorId);
        Assert.Contains("with its memory", error.Message, StringComparison.Ordinal);
        _engine.Dispose();
        _engine = Open(SystemFiles.Instance);
        Assert.Equal(VmState.Error, _engine.Machines.Get("web01").State);
        Assert.Equal(VmState.Running, _engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", FailAction = FailAction.Rollback }).Run().State);
        await AssertWorkWentOnAsync();
        Assert.Equal(["before"], _engine.Snapshots.Find(new SnapshotQuery()).Select(s => s.Name));

        // Nor does a guest stop whose memory there is no room for.
        var full = new SnapshotTools.Testing.Files.FaultyFileSystem(SystemFiles.Instance);
        full.Fail(SnapshotTools.Testing.Files.FileCall.Write, 3, SnapshotTools.Testing.Files.FaultKind.NoSpace, always: true);
        using (var cramped = Open(SystemFiles.Instance, full))
            Assert.Equal(ErrorIds.NotEnoughSpace, Assert.Throws<SnapshotException>(() => cramped.Snapshots.Restore(request).Run()).ErrorId);
        Assert.True(full.Fired);
        await AssertWorkWentOnAsync();

        // Who gives up while it stops goes on too.
        using (var stop = new CancellationTokenSource())
        {
            var restore = _engine.Snapshots.Restore(request);
            Assert.Throws<OperationCanceledException>(() => restore.Run(new RunOptions { Log = l => { if (l.Contains("is stopped", StringComparison.Ordinal)) stop.Cancel(); }, Cancellation = stop.Token }));
        }
        await AssertWorkWentOnAsync();

        // A backup that is kept has the disks that were not restored too, since its memory belongs to them.
        Assert.Equal(VmState.Running, _engine.Snapshots.Restore(request with { KeepBackup = true }).Run().State);
        using (var shell = await ConnectAsync()) Assert.NotEqual(0, (await shell.TryRunAsync("cat /run/marker")).ExitCode);
        var backup = Assert.Single(_engine.Snapshots.Find(new SnapshotQuery()), s => s.IsBackup);
        Assert.Equal((true, 2, SnapshotScope.All), (backup.HasMemory, backup.Volumes.Count, backup.Scope));
        Assert.Equal(VmState.Running, _engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = backup.Name, StopVm = true, Start = true }).Run().State);
        await AssertWorkWentOnAsync();
        // A later retry ends it the other way: restored, and running since it ran.
        Assert.Equal(ErrorIds.RestoreFailed, FailToRestore(request).ErrorId);
        Assert.Equal(VmState.Running, _engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", FailAction = FailAction.Retry }).Run().State);
        using (var shell = await ConnectAsync()) Assert.NotEqual(0, (await shell.TryRunAsync("cat /run/marker")).ExitCode);
        _engine.Machines.Stop("web01", turnOff: true, TimeSpan.FromSeconds(10)).Run();
        Assert.Single(Directory.GetFiles(_folder.File("store/memory")));
        _engine.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web01", Snapshot = backup.Name }).Run();
        Assert.Empty(Directory.GetFiles(_folder.File("store/memory")));
        Assert.DoesNotContain(_engine.Test(), f => f.Severity != FindingSeverity.Information);

        SnapshotException FailToRestore(RestoreRequest what)
        {
            var faulty = new SnapshotTools.Testing.Files.FaultyFileSystem(SystemFiles.Instance);
            using var failing = Open(faulty);
            var restore = failing.Snapshots.Restore(what);
            return Assert.Throws<SnapshotException>(() => restore.Run(new RunOptions
            {
                Log = line =>
                {
                    if (line.Contains("is stopped", StringComparison.Ordinal)) faulty.Fail(SnapshotTools.Testing.Files.FileCall.Write, 1, SnapshotTools.Testing.Files.FaultKind.NoSpace, always: true);
                },
            }));
        }

        async Task AssertWorkWentOnAsync()
        {
            using var shell = await ConnectAsync();
            Assert.Contains("only-in-memory", await shell.RunAsync("cat /run/marker"), StringComparison.Ordinal);
            await WaitForWorkAsync(shell);
            long[] told = [.. (await shell.RunAsync("cat /run/work")).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => long.Parse(l.Split(' ')[1]))];
            Assert.Equal(told, told.Order());
        }
    }

    [GuestFact]
    public async Task Firmware_variables_are_the_vms_own_and_part_of_its_snapshots()
    {
        await Task.Yield();
        PrepareVm();
        string code = Bios.First(File.Exists), template = _folder.File("vars.fd");
        File.WriteAllBytes(template, [.. Enumerable.Repeat((byte)1, 64 << 10)]);
        _engine.Machines.Set("web01", new VmChanges { Firmware = code, FirmwareVariables = template }).Run();
        _engine.Machines.Start("web01", paused: true).Run();
        string own = Assert.Single(Directory.GetFiles(_folder.File("store/memory")));
        _engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "live" }).Run();
        _engine.Machines.Stop("web01", turnOff: true, TimeSpan.FromSeconds(10)).Run();
        // As the firmware would: first a boot entry, and later another one.
        void Write(byte value)
        {
            using var file = File.OpenWrite(own);
            file.WriteByte(value);
        }
        Write(2);
        _engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "two" }).Run();
        Write(3);
        _engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "two", KeepBackup = true }).Run();
        byte[] Firsts() => [.. Directory.GetFiles(_folder.File("store/memory")).Select(f => File.ReadAllBytes(f)[0]).Order()];
        Assert.Equal([1, 2, 2, 3], Firsts());    // live, two, the present, and the backup
        _engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "two", Volumes = ["os"], KeepBackup = true }).Run();
        Assert.Equal([1, 2, 2, 2, 3], Firsts());    // the present stays, and the other backup has it too
        Assert.All(File.ReadAllBytes(template), b => Assert.Equal(1, b));
        foreach (var snapshot in _engine.Snapshots.Find(new SnapshotQuery())) _engine.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web01", Snapshot = snapshot.Name }).Run();
        Assert.Equal([2], Firsts());
        _engine.Machines.Start("web01", paused: true).Run();    // with those of the snapshot, not with the template's
        _engine.Machines.Stop("web01", turnOff: true, TimeSpan.FromSeconds(10)).Run();
        Assert.Equal([2], Firsts());
        File.Delete(Assert.Single(Directory.GetFiles(_folder.File("store/memory"))));
        Assert.Equal(ErrorIds.FirmwareMissing, Assert.Throws<SnapshotException>(() => _engine.Machines.Start("web01", paused: true).Run()).ErrorId);
        Assert.Empty(Firsts());
        _engine.Machines.Set("web01", new VmChanges { FirmwareVariables = template }).Run();
        _engine.Machines.Start("web01", paused: true).Run();
        Assert.Equal([1], Firsts());
    }

    [GuestFact]
    public async Task A_session_that_dies_after_the_switch_loses_nothing()
    {
        PrepareVm();
        _engine.Machines.Start("web01").Run();
        using var shell = await ConnectAsync();
        await StartWorkAsync(shell);
        var faulty = new SnapshotTools.Testing.Files.FaultyFileSystem(SystemFiles.Instance);
        var dying = Open(faulty);
        var snapshot = dying.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "lost" });
        Assert.ThrowsAny<Exception>(() => snapshot.Run(new RunOptions
        {
            Log = line =>
            {
                if (line.Contains("stood still", StringComparison.Ordinal)) faulty.FailAny(1, SnapshotTools.Testing.Files.FaultKind.Kill, always: true);
            },
        }));
        Record.Exception(dying.Dispose);   // nothing that it would do comes to pass any more
        _engine.Dispose();
        _engine = Open(SystemFiles.Instance);
        Assert.Empty(_engine.Snapshots.Find(new SnapshotQuery()));
        await WaitForWorkAsync(shell);
        long record = await RecordAsync(shell);
        _engine.Machines.Stop("web01", turnOff: true, TimeSpan.FromSeconds(10)).Run();
        _engine.Optimize().Run();
        Assert.Equal(2, Directory.GetFiles(_folder.File("store/layers")).Length);
        _engine.Machines.Start("web01").Run();
        using var again = await ConnectAsync();
        string size = await again.RunAsync("mkdir -p /mnt/a; mount -t ext4 /dev/vda /mnt/a; stat -c %s /mnt/a/first");
        Assert.True(long.Parse(size.Trim()) / 512 >= record, $"{size} bytes for {record} records");
        _engine.Machines.Stop("web01", turnOff: true, TimeSpan.FromSeconds(10)).Run();
    }

    public void Dispose()
    {
        if (_engine is not null)
        {
            try
            {
                if (_engine.Machines.Find("web01") is [{ State: VmState.Running or VmState.Paused }]) _engine.Machines.Stop("web01", turnOff: true, TimeSpan.FromSeconds(10)).Run();
            }
            finally
            {
                _engine.Dispose();
            }
        }
        _limit?.KillAll();
        _limit?.Dispose();
        _folder.Dispose();
    }

    private void PrepareVm()
    {
        _limit = new GuestLimit(_folder.File("run"));
        EmbeddedStore.Initialize(_folder.File("store")).Run();
        _engine = Open(SystemFiles.Instance);
        foreach (string name in new[] { "os", "db" })
        {
            string raw = _folder.File(name + ".img");
            using (var file = File.Create(raw)) file.SetLength(128 << 20);
            Tool.Run("mkfs.ext4", ["-q", "-E", "lazy_itable_init=1,lazy_journal_init=1", raw]);
            _engine.Volumes.Create(new NewVolumeRequest { Name = name, ImagePath = raw }).Run();
        }
        _engine.Machines.Create(new NewVmRequest
        {
            Name = "web01",
            MemoryBytes = 160L << 20,
            Volumes = [new AttachRequest("os"), new AttachRequest("db")],
            Boot = new VmBoot
            {
                Kernel = GuestKit.Instance.Kernel,
                Initrd = GuestKit.Instance.Initrd,
                KernelCommandLine = GuestKit.KernelCommandLine,
                ExtraArguments = GuestPorts.Arguments(_folder.Path),
            },
        }).Run();
    }

    private SnapshotEngine Open(IFileSystem files, IFileSystem? ofMachines = null) =>
        EmbeddedStore.Open(files, _folder.File("store"), compute: new QemuComputePlane(ofMachines ?? SystemFiles.Instance, runRoot: _folder.File("run")));

    private Task<GuestShell> ConnectAsync() => GuestShell.ConnectAsync(GuestPorts.Shell(_folder.Path));

    private static async Task StartWorkAsync(GuestShell shell)
    {
        await shell.RunAsync("mkdir -p /mnt/a /mnt/b; mount -t ext4 /dev/vda /mnt/a; mount -t ext4 /dev/vdb /mnt/b");
        await shell.RunAsync("workload /mnt/a/first /mnt/b/second 16 >/run/work 2>&1 &");
        await WaitForWorkAsync(shell);
    }

    private static async Task<long> RecordAsync(GuestShell shell) => long.Parse((await shell.RunAsync("tail -n 1 /run/work")).Trim().Split(' ')[1]);

    private static async Task WaitForWorkAsync(GuestShell shell) =>
        await shell.RunAsync("n=$(wc -l </run/work); while [ $(wc -l </run/work) -lt $((n+3)) ]; do sleep 0.02; done; tail -n 1 /run/work | grep -q 'mem ok'");
}
