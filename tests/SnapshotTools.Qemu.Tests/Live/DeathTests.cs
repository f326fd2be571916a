using System.Diagnostics;
using SnapshotTools.Core;
using SnapshotTools.Embedded;
using SnapshotTools.Guest;
using SnapshotTools.Qemu.Live;
using Xunit;
using Xunit.Abstractions;

namespace SnapshotTools.Qemu.Tests.Live;

/// <summary>The session, or QEMU, is killed at every step of what is done to a guest at work. That PowerShell is killed at every step of a
/// snapshot is in the cmdlets' tests.</summary>
[Collection(LiveTests.Name)]
public sealed class DeathTests(ITestOutputHelper output) : IDisposable
{
    private readonly LiveStore _store = new();

    public void Dispose()
    {
        LiveSteps.Observer = null;
        _store.Dispose();
    }

    [GuestFact("e2fsck", "debugfs")]
    public async Task A_session_killed_at_any_step_of_a_removal_leaves_a_guest_that_works_on_and_a_store_that_is_whole()
    {
        string[] steps = ["snapshots are forgotten", "under the running guest", "the images are merged"];
        _store.AddVm("web01");
        using var shell = await _store.StartAndWorkAsync("web01");
        for (int i = 0; i < steps.Length; i++) _store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = $"old{i}" }).Run();
        foreach (var (i, step) in steps.Index())
        {
            Assert.Equal(137, RunSession("remove", $"old{i}", step));
            var clock = Stopwatch.StartNew();
            await LiveStore.WaitForWorkAsync(shell);
            output.WriteLine($"remove: killed at '{step}'; the guest went on within {clock.Elapsed.TotalSeconds:0.0} s");
            _store.Reopen();
            Assert.All(_store.Engine.Operations.Find(), o => Assert.NotEqual(OperationState.Running, o.State));
            Assert.Empty(_store.Engine.Snapshots.Find(new SnapshotQuery { Names = [$"old{i}"] }));
        }
        // And the next session can do everything.
        Assert.True(_store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "memory", Memory = true }).Run().HasMemory);
        await LiveStore.WaitForWorkAsync(shell);
        long record = await LiveStore.RecordAsync(shell);
        _store.Engine.Optimize().Run();
        _store.TurnOff("web01");
        Assert.Equal(2 * 2, _store.CountLayers());     // the snapshot and the present
        Assert.DoesNotContain(_store.Engine.Test(), f => f.Severity != FindingSeverity.Information);
        Assert.True(_store.LastRecordOf("web01-0", null, "first") >= record);
        Assert.True(_store.LastRecordOf("web01-1", null, "second") >= record);
    }

    [GuestFact("e2fsck", "debugfs")]
    public async Task Who_makes_or_repairs_a_store_that_is_there_keeps_what_a_killed_snapshot_let_the_guest_write_to()
    {
        _store.AddVm("web01", disks: 3);   // nothing is written to the third, so that its new head is empty
        using var shell = await _store.StartAndWorkAsync("web01");
        foreach (string name in new[] { "made", "repaired" })
        {
            Assert.Equal(137, RunSession("snapshot", name, "the disks are switched"));
            if (name == "made") EmbeddedStore.Initialize(_store.Store, _store.NewCompute).Run();
            else Assert.Empty(EmbeddedStore.Repair(_store.Store, compute: _store.NewCompute).Run());
            Assert.DoesNotContain(_store.OpenFilesOf("web01"), f => f.EndsWith("(deleted)", StringComparison.Ordinal));
            _store.Reopen();
            await LiveStore.WaitForWorkAsync(shell);
        }
        long record = await LiveStore.RecordAsync(shell);
        _store.TurnOff("web01");
        Assert.True(_store.LastRecordOf("web01-0", null, "first") >= record);
        Assert.True(_store.LastRecordOf("web01-1", null, "second") >= record);
    }

    [GuestFact("e2fsck", "debugfs")]
    public async Task Qemu_killed_at_any_step_leaves_a_machine_that_starts_with_every_synced_record()
    {
        _store.AddVm("web01", memoryMiB: 96);
        (bool Memory, string Step)[] steps = [(false, "has opened the new heads"), (false, "the disks are switched"), (true, "the guest stands"), (true, "the memory is being saved"), (true, "committed")];
        int taken = 0;
        foreach (var (memory, step) in steps)
        {
            using var shell = await _store.StartAndWorkAsync("web01", memoryMiB: 8);
            long record = await LiveStore.RecordAsync(shell);
            var qemu = _store.QemuOf("web01");
            void Look(string line)
            {
                if (line.Contains(step, StringComparison.Ordinal)) qemu.Kill();
            }
            LiveSteps.Observer = Look;
            string name = $"q{taken++}";
            var failed = Record.Exception(() => _store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = name, Memory = memory }).Run(new RunOptions { Log = Look }));
            LiveSteps.Observer = null;
            Assert.True(await qemu.WaitForExitAsync(TimeSpan.FromSeconds(10)), "QEMU was killed");
            output.WriteLine($"QEMU killed at '{step}': {failed?.Message ?? "the snapshot was taken"}");
            _store.Reopen();
            Assert.Equal(VmState.Stopped, _store.Engine.Machines.Get("web01").State);
            Assert.Equal(failed is null, _store.Engine.Snapshots.Find(new SnapshotQuery { Names = [name] }).Count == 1);
            _store.Engine.Optimize().Run();
            Assert.DoesNotContain(_store.Engine.Test(), f => f.Severity != FindingSeverity.Information);
            Assert.True(_store.LastRecordOf("web01-0", null, "first") >= record);
            Assert.True(_store.LastRecordOf("web01-1", null, "second") >= record);
        }
    }

    [GuestFact("e2fsck", "debugfs")]
    public async Task A_session_killed_at_any_step_of_a_restore_leaves_a_guest_that_goes_on_from_its_memory()
    {
        _store.AddVm("web01", memoryMiB: 128);
        var shell = await _store.StartAndWorkAsync("web01", memoryMiB: 8);
        _store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "before" }).Run();
        foreach (string step in new[] { "the machine stands, and its memory is saved", "the memory of the backup is durable", "nobody sets it going", "committed", "is stopped", "new heads are durable" })
        {
            Assert.Equal(137, RunSession("restore", "before", step));
            var clock = Stopwatch.StartNew();
            var state = _store.Reopen().Machines.Get("web01").State;
            Assert.Equal(step is "committed" or "is stopped" or "new heads are durable", state == VmState.Error);
            if (state == VmState.Error)
            {
                Assert.Equal(VmState.Running, _store.Engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", FailAction = FailAction.Rollback }).Run().State);
                shell.Dispose();
                shell = await _store.ConnectAsync("web01");
            }
            await LiveStore.WaitForWorkAsync(shell);
            output.WriteLine($"restore: killed at '{step}'; {state}; the guest goes on from its memory within {clock.Elapsed.TotalSeconds:0.0} s");
        }
        long record = await LiveStore.RecordAsync(shell);
        shell.Dispose();
        _store.TurnOff("web01");
        Assert.Empty(Directory.GetFiles(Path.Combine(_store.Store, "memory")));
        Assert.Equal(["before"], _store.Engine.Snapshots.Find(new SnapshotQuery()).Select(s => s.Name));
        Assert.DoesNotContain(_store.Engine.Test(), f => f.Severity != FindingSeverity.Information);
        Assert.True(_store.LastRecordOf("web01-0", null, "first") >= record);
    }

    [GuestFact("e2fsck", "debugfs")]
    public async Task A_session_killed_at_any_step_of_a_start_from_memory_leaves_a_vm_whose_memory_fits_its_disks()
    {
        _store.AddVm("web01", memoryMiB: 128);
        using (var first = await _store.StartAndWorkAsync("web01", memoryMiB: 8))
            _store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "memory", Memory = true }).Run();
        foreach (var (step, expected) in new[] { ("the memory is being loaded", VmState.Suspended), ("stands with its memory", VmState.Suspended), ("goes on from its memory", VmState.Running) })
        {
            _store.Engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "memory", StopVm = true }).Run();
            Assert.Equal(VmState.Suspended, _store.Engine.Machines.Get("web01").State);
            Assert.Equal(137, RunSession("start", "memory", step));
            Assert.Equal(expected, _store.Reopen().Machines.Get("web01").State);
            output.WriteLine($"start: killed at '{step}'; {expected}");
            if (expected == VmState.Suspended) Assert.Equal(VmState.Running, _store.Engine.Machines.Start("web01").Run().State);
            using (var shell = await _store.ConnectAsync("web01")) await LiveStore.WaitForWorkAsync(shell);
            var qemu = _store.QemuOf("web01");
            qemu.Kill();
            Assert.True(await qemu.WaitForExitAsync(TimeSpan.FromSeconds(10)));
            Assert.Equal(VmState.Stopped, _store.Engine.Machines.Get("web01").State);   // Suspended would set the old memory over newer disks
        }
        Assert.Single(Directory.GetFiles(Path.Combine(_store.Store, "memory")));
        Assert.DoesNotContain(_store.Engine.Test(), f => f.Severity != FindingSeverity.Information);
    }

    [GuestFact]
    public async Task A_machine_that_somebody_let_go_on_past_us_has_left_its_memory_behind()
    {
        _store.AddVm("web01", memoryMiB: 96);
        (await _store.StartAndWorkAsync("web01", memoryMiB: 8)).Dispose();
        _store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "memory", Memory = true }).Run();
        _store.Engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "memory", StopVm = true }).Run();
        Assert.Equal(137, RunSession("start", "memory", "stands with its memory"));
        await using (var machine = await _store.Launcher.FindAsync(_store.Engine.Machines.Get("web01").Id)) await machine!.ResumeAsync();

        Assert.Equal(VmState.Paused, _store.Engine.Machines.Suspend("web01").Run().State);
        Assert.Equal(VmState.Running, _store.Engine.Machines.Resume("web01").Run().State);
        _store.TurnOff("web01");
        Assert.Equal(VmState.Stopped, _store.Engine.Machines.Get("web01").State);
    }

    [GuestFact]
    public async Task A_machine_that_hangs_where_a_start_from_memory_was_killed_can_be_turned_off_and_started_again()
    {
        _store.AddVm("web01", memoryMiB: 96);
        (await _store.StartAndWorkAsync("web01", memoryMiB: 8)).Dispose();
        _store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "memory", Memory = true }).Run();
        _store.Engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "memory", StopVm = true }).Run();
        Assert.Equal(137, RunSession("start", "memory", "stands with its memory"));
        Testing.Tool.Run("kill", ["-STOP", $"{_store.QemuOf("web01").Id}"]);

        Assert.Equal(VmState.Running, _store.Engine.Machines.Get("web01").State);
        Assert.Equal(ErrorIds.VmNotResponding, Assert.Throws<SnapshotException>(() => _store.Engine.Machines.Suspend("web01").Run()).ErrorId);
        Assert.Equal(VmState.Suspended, _store.Engine.Machines.Stop("web01", turnOff: true, TimeSpan.FromSeconds(10)).Run().State);
        Assert.Equal(VmState.Running, _store.Engine.Machines.Start("web01").Run().State);
        using (var shell = await _store.ConnectAsync("web01")) await LiveStore.WaitForWorkAsync(shell);
        _store.TurnOff("web01");
    }

    [GuestFact]
    public async Task A_machine_that_hangs_where_a_session_was_killed_closes_the_store_for_nobody()
    {
        await Task.Yield();
        _store.AddVm("web01", disks: 1, memoryMiB: 96);
        _store.AddVm("web02", disks: 1, memoryMiB: 96);
        foreach (var (what, step) in new[] { ("snapshot", "has opened the new heads"), ("remove", "under the running guest") })
        {
            _store.Engine.Machines.Start("web01", paused: true).Run();
            if (what == "remove") _store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = what }).Run();
            Assert.Equal(137, RunSession(what, what, step));
            Testing.Tool.Run("kill", ["-STOP", $"{_store.QemuOf("web01").Id}"]);

            var clock = Stopwatch.StartNew();
            _store.Reopen();
            output.WriteLine($"{what}: opened in {clock.Elapsed.TotalSeconds:0.0} s");
            _store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web02", Name = what }).Run();
            if (what == "snapshot")
            {
                Assert.True(_store.Engine.Operations.Work(TimeSpan.Zero));
                Assert.Equal(ErrorIds.VmNotResponding, Assert.Throws<SnapshotException>(() => _store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "other" }).Run()).ErrorId);
            }
            _store.TurnOff("web01");
            _store.Reopen();
            Assert.DoesNotContain(_store.Engine.Operations.Find(), o => o.State == OperationState.Running);
            Assert.Empty(_store.Engine.Snapshots.Find(new SnapshotQuery { Vms = ["web01"] }));
        }
        _store.Engine.Machines.Start("web01", paused: true).Run();
        _store.TurnOff("web01");
        _store.Engine.Optimize().Run();
        Assert.DoesNotContain(_store.Engine.Test(), f => f.Severity != FindingSeverity.Information);
        Assert.Equal(1 + 3, _store.CountLayers());
    }

    [GuestFact]
    public async Task A_clone_that_cannot_reach_one_of_several_guests_lets_go_of_the_others()
    {
        await Task.Yield();
        foreach (string vm in new[] { "web01", "web02" })
        {
            _store.AddVm(vm, disks: 1, memoryMiB: 96);
            _store.Engine.Machines.Start(vm, paused: true).Run();
        }
        Testing.Tool.Run("kill", ["-STOP", $"{_store.QemuOf("web02").Id}"]);

        var clone = _store.Engine.Volumes.Clone(new CloneRequest { Sources = [new CloneSource("web01-0"), new CloneSource("web02-0")], Linked = true });
        Assert.Equal(ErrorIds.VmNotResponding, Assert.Throws<SnapshotException>(() => clone.Run()).ErrorId);
        using (var other = _store.Open()) Assert.Equal(VmState.Running, other.Machines.Resume("web01").Run().State);
        foreach (string vm in new[] { "web01", "web02" }) _store.TurnOff(vm);
        Assert.DoesNotContain(_store.Engine.Test(), f => f.Severity != FindingSeverity.Information);
    }

    [GuestFact]
    public async Task A_session_killed_while_several_guests_stand_for_a_clone_leaves_none_of_them_standing()
    {
        string[] vms = ["web01", "web02"];
        var shells = new List<GuestShell>();
        foreach (string vm in vms)
        {
            _store.AddVm(vm, disks: 1, memoryMiB: 96);
            shells.Add(await _store.StartAndWorkAsync(vm, memoryMiB: 8));
        }
        foreach (string step in new[] { "2 guests stand", "all disks write to the new heads" })
        {
            Assert.Equal(137, RunSession("clone", "web02", step));
            foreach (var shell in shells) await LiveStore.WaitForWorkAsync(shell);
            _store.Reopen();
            Assert.Equal(["web01-0", "web02-0"], _store.Engine.Volumes.Find().Select(v => v.Name).Order());
        }
        foreach (var shell in shells) shell.Dispose();
        foreach (string vm in vms) _store.TurnOff(vm);
        Assert.DoesNotContain(_store.Engine.Test(), f => f.Severity != FindingSeverity.Information);
    }

    private int RunSession(string what, string snapshot, string step)
    {
        string[] arguments = ["exec", typeof(SessionProgram).Assembly.Location, what, _store.Store, _store.RunRoot, "web01", snapshot, step];
        var (exitCode, said) = Testing.Tool.TryRun("dotnet", arguments);
        if (exitCode is not (0 or 137)) output.WriteLine(said);
        return exitCode;
    }
}
