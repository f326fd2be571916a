using System.Diagnostics;
using System.Security.Cryptography;
using SnapshotTools.Core;
using SnapshotTools.Guest;
using SnapshotTools.IO;
using SnapshotTools.Testing;
using SnapshotTools.Testing.Files;
using Xunit;
using Xunit.Abstractions;

namespace SnapshotTools.Qemu.Tests.Live;

/// <summary>Clones of guests at work, and guests at work on clones.</summary>
[Collection(LiveTests.Name)]
public sealed class CloneLiveTests(ITestOutputHelper output) : IDisposable
{
    private readonly LiveStore _store = new();

    public void Dispose() => _store.Dispose();

    [GuestFact("e2fsck", "debugfs")]
    public async Task A_clone_is_used_by_a_guest_while_it_is_filled_and_its_source_is_restored_afterwards()
    {
        _store.AddVm("web01");
        using (var shell = await _store.StartAndWorkAsync("web01"))
        {
            await shell.RunAsync("dd if=/dev/urandom of=/mnt/a/ballast bs=1M count=24 2>/dev/null; md5sum </mnt/a/ballast >/mnt/b/sum; sync");
            await LiveStore.WaitForWorkAsync(shell);
            _store.TurnOff("web01");
        }
        _store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web01", Name = "then" }).Run();
        var made = _store.Engine.Machines.Clone(new VmCloneRequest { Source = "web01", Name = "web02", Pace = new CopyPace(MaxBytesPerSecond: 4 << 20) }).Run();
        _store.MovePorts("web02");
        var ids = made.Clones.Copies.Select(c => c.Id).ToList();

        // The copy begins while the clone stands still, and rests; the guest is started on what there is, and the copy goes on under it.
        using var session = _store.Open();
        var log = new List<string>();
        var options = new RunOptions { Log = line => { lock (log) log.Add(line); } };
        var copying = Task.Run(() => session.Operations.Run(ids, options));
        await LiveGuest.WaitUntilAsync(() => _store.Engine.Operations.Get(ids[0]).BytesDone > 4 << 20, "the copy is on its way");
        foreach (var id in ids.AsEnumerable().Reverse()) _store.Engine.Operations.Suspend(id).Run();
        await copying.WaitAsync(TimeSpan.FromMinutes(1));
        using var clone = await _store.StartAndWorkAsync("web02");
        foreach (var id in ids) Assert.Equal(OperationState.Pending, _store.Engine.Operations.Resume(id).Run().State);
        output.WriteLine($"the clone's guest works when {_store.Engine.Operations.Get(ids[0]).BytesDone >> 20} of {_store.Engine.Operations.Get(ids[0]).BytesTotal >> 20} MiB of its first disk are copied");
        copying = Task.Run(() => session.Operations.Run(ids, options));
        await LiveStore.WaitForWorkAsync(clone);
        Assert.Contains(_store.OpenFilesOf("web02"), f => f.EndsWith(_store.LayerFilesOf("web01-0")[^1], StringComparison.Ordinal));
        var ended = await copying.WaitAsync(TimeSpan.FromMinutes(3));

        Assert.All(ended, o => Assert.Equal(OperationState.Completed, o.State));
        Assert.Equal(2, log.Count(l => l.Contains("reads the copy and has let go", StringComparison.Ordinal)));
        // No old file is open, neither deleted ones nor the source's: exactly the clone's layers are.
        Assert.Equal(_store.LayerFilesOf("web02-0").Concat(_store.LayerFilesOf("web02-1")).Order(), _store.OpenFilesOf("web02").Select(f => Path.GetFileName(f)!).Order());
        await LiveStore.WaitForWorkAsync(clone);

        // The source goes back, and is written to, under the clone's guest.
        _store.Engine.Snapshots.Restore(new RestoreRequest { Vm = "web01", Snapshot = "then" }).Run();
        _store.Engine.Machines.Remove("web01", removeVolumes: true, removeSnapshots: true).Run();
        await clone.RunAsync("echo 3 >/proc/sys/vm/drop_caches; [ \"$(md5sum </mnt/a/ballast)\" = \"$(cat /mnt/b/sum)\" ]");
        // Snapshots, merges and restores go on as with every running VM.
        _store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web02", Name = "a" }).Run();
        _store.Engine.Snapshots.Create(new NewSnapshotRequest { Vm = "web02", Name = "b" }).Run();
        var warnings = new List<string>();
        foreach (string name in new[] { "a", "b" }) _store.Engine.Snapshots.Remove(new RemoveSnapshotRequest { Vm = "web02", Snapshot = name }).Run(new RunOptions { Warn = warnings.Add });
        Assert.Empty(warnings);
        await LiveStore.WaitForWorkAsync(clone);
        long record = await LiveStore.RecordAsync(clone);
        _store.TurnOff("web02");
        Assert.Empty(_store.Engine.Test());
        Assert.True(_store.LastRecordOf("web02-0", null, "first") >= record);
        Assert.True(_store.LastRecordOf("web02-1", null, "second") >= record);
    }

    [GuestFact("e2fsck", "debugfs")]
    public async Task A_guest_goes_on_when_its_copy_was_put_in_place_and_no_more_and_when_its_linked_clone_is_made_independent()
    {
        _store.AddVm("golden");
        var copy = _store.Engine.Volumes.Clone(new CloneRequest { Sources = [new CloneSource("golden-0", null, "copy")] }).Run().Copies[0].Id;
        _store.Engine.Volumes.Clone(new CloneRequest { Sources = [new CloneSource("golden-1", null, "linked")], Linked = true }).Run();
        Directory.CreateDirectory(_store.File("web02"));
        _store.Engine.Machines.Create(new NewVmRequest
        {
            Name = "web02",
            MemoryBytes = 128 << 20,
            Volumes = [new AttachRequest("copy"), new AttachRequest("linked")],
            Boot = _store.Engine.Machines.Get("golden").Boot with { ExtraArguments = GuestPorts.Arguments(_store.File("web02")) },
        }).Run();
        using var shell = await _store.StartAndWorkAsync("web02");
        Assert.Equal(3 + 2, _store.OpenFilesOf("web02").Count);

        PutInPlaceOnly(copy);
        Assert.Contains(_store.OpenFilesOf("web02"), f => f.EndsWith("(deleted)", StringComparison.Ordinal));
        await LiveStore.WaitForWorkAsync(shell);
        _store.Engine.Operations.Resume(copy).Run();
        // Another session is at the machine's monitor in this moment.
        var program = new Launch.QemuLauncher(SystemFiles.Instance, runRoot: _store.RunRoot);
        Task<SnapshotOperation> completing;
        using var session = _store.Open();
        await using (await program.FindAsync(_store.Engine.Machines.Get("web02").Id))
        {
            completing = Task.Run(() => session.Operations.Run([copy])[0]);
            await LiveGuest.WaitUntilAsync(() => _store.Engine.Operations.Get(copy).State == OperationState.Completed, "the copy is complete");
            Assert.Contains(_store.OpenFilesOf("web02"), f => f.EndsWith("(deleted)", StringComparison.Ordinal));
        }
        Assert.Equal(OperationState.Completed, (await completing.WaitAsync(TimeSpan.FromMinutes(1))).State);
        Assert.Equal(OwnFiles("copy", "linked"), OpenFiles("web02"));
        // A machine that is started in between is given the layers as they lie.
        var other = _store.Engine.Volumes.Clone(new CloneRequest { Sources = [new CloneSource("golden-0", null, "other")] }).Run().Copies[0].Id;
        PutInPlaceOnly(other);
        _store.Engine.Machines.Create(new NewVmRequest { Name = "web03", MemoryBytes = 64 << 20, Volumes = [new AttachRequest("other")] }).Run();
        _store.Engine.Machines.Start("web03", paused: true).Run();
        Assert.Equal(OwnFiles("other"), OpenFiles("web03"));
        _store.Engine.Operations.Resume(other).Run();
        Assert.Equal(OperationState.Completed, _store.Engine.Operations.Run([other])[0].State);
        Assert.Equal(OwnFiles("other"), OpenFiles("web03"));
        _store.TurnOff("web03");
        _store.Engine.Machines.Remove("web03", removeVolumes: true, removeSnapshots: true).Run();

        // The linked one's head, with what the guest wrote to it, is frozen and filled under the guest; nothing is left of the source.
        _store.Engine.Machines.Remove("golden", removeVolumes: true, removeSnapshots: true, DependantAction.Flatten).Run();
        Assert.Null(_store.Engine.Volumes.Get("linked").LinkedTo);
        Assert.Equal(OwnFiles("copy", "linked"), OpenFiles("web02"));
        Assert.Equal(4, _store.CountLayers());
        await LiveStore.WaitForWorkAsync(shell);
        await shell.RunAsync("echo 3 >/proc/sys/vm/drop_caches; [ $(workload last /mnt/a/first) != bad ] && [ $(workload last /mnt/b/second) != bad ]");
        long record = await LiveStore.RecordAsync(shell);
        _store.TurnOff("web02");
        _store.Engine.Optimize().Run();
        Assert.Equal(2, _store.CountLayers());
        Assert.Empty(_store.Engine.Test());
        Assert.True(_store.LastRecordOf("copy", null, "first") >= record);
        Assert.True(_store.LastRecordOf("linked", null, "second") >= record);

        IEnumerable<string> OwnFiles(params string[] volumes) => volumes.SelectMany(_store.LayerFilesOf).Order();
        IEnumerable<string> OpenFiles(string vm) => _store.OpenFilesOf(vm).Select(f => Path.GetFileName(f)!).Order();

        // Ends when the copy lies in its place: neither a QEMU nor the catalog knows of it.
        void PutInPlaceOnly(Guid operation)
        {
            var faulty = new FaultyFileSystem(SystemFiles.Instance);
            using var dying = _store.Open(faulty);
            faulty.Fail(FileCall.SetFrozen, 1, FaultKind.Kill, always: true);
            Assert.ThrowsAny<Exception>(() => dying.Operations.Run([operation]));
            Assert.True(faulty.Fired);
            faulty.Heal();
            Assert.Equal(OperationState.Failed, _store.Engine.Operations.Get(operation).State);
            Assert.Equal(2, _store.LayerFilesOf(_store.Engine.Operations.Get(operation).Target).Count);
        }
    }

    [GuestFact("e2fsck", "debugfs")]
    public async Task Four_disks_of_a_guest_at_work_are_cloned_of_one_instant()
    {
        string[] disks = ["a", "b", "c", "d"];
        _store.AddVm("web01", disks: 4);
        using var shell = await _store.StartAndWorkAsync("web01");
        await shell.RunAsync("mkdir -p /mnt/c /mnt/d; mount -t ext4 /dev/vdc /mnt/c; mount -t ext4 /dev/vdd /mnt/d");
        // Each pair of neighbours is written to in turn, so that all four hang together.
        await shell.RunAsync("workload /mnt/b/first /mnt/c/second 1 >/run/work2 2>&1 & workload /mnt/c/first /mnt/d/second 1 >/run/work3 2>&1 &");
        await shell.RunAsync("while [ ! -s /run/work2 ] || [ ! -s /run/work3 ]; do sleep 0.02; done");
        await LiveStore.WaitForWorkAsync(shell);
        long before = await LiveStore.RecordAsync(shell);

        var log = new List<string>();
        var made = _store.Engine.Volumes.Clone(new CloneRequest { Sources = [.. disks.Select((_, i) => new CloneSource($"web01-{i}", null, "*-copy"))] }).Run(new RunOptions { Log = log.Add });
        await LiveStore.WaitForWorkAsync(shell);
        long after = await LiveStore.RecordAsync(shell);   // it tells of its records ten times a second
        var ended = _store.Engine.Operations.Run([.. made.Copies.Select(c => c.Id)], new RunOptions { Log = log.Add });
        Assert.All(ended, o => Assert.Equal(OperationState.Completed, o.State));
        await LiveStore.WaitForWorkAsync(shell);
        _store.TurnOff("web01");

        Directory.CreateDirectory(_store.File("probe"));
        _store.Engine.Machines.Create(new NewVmRequest
        {
            Name = "probe",
            MemoryBytes = 128 << 20,
            Volumes = [.. made.Volumes.Select(v => new AttachRequest(v.Name))],
            Boot = _store.Engine.Machines.Get("web01").Boot with { ExtraArguments = GuestPorts.Arguments(_store.File("probe")) },
        }).Run();
        var numbers = new List<(long First, long Second)>();
        // As after a power cut, which is what each was at the instant: e2fsck replays the journal, and finds nothing else to do.
        for (int i = 0; i < 3; i++)
            numbers.Add((_store.LastRecordOf($"web01-{i}-copy", null, "first"), _store.LastRecordOf($"web01-{i + 1}-copy", null, "second")));
        output.WriteLine($"{log.First(l => l.Contains("all disks write", StringComparison.Ordinal))}; records {string.Join(", ", numbers)}; {before} before and {after} after the call");
        Assert.All(numbers, n => Assert.True(n.Second >= 1 && n.Second <= n.First && n.First <= n.Second + 1, $"{n.First} and {n.Second} are not of one instant"));
        Assert.InRange(numbers[0].First, before, after);
        _store.Engine.Machines.Start("probe").Run();
        using var probe = await _store.ConnectAsync("probe");
        foreach (var (disk, i) in disks.Select((d, i) => (d, i)))
            await probe.RunAsync($"mkdir -p /mnt/{disk}; mount -t ext4 /dev/vd{disk} /mnt/{disk}; touch /mnt/{disk}/mounted");
        for (int i = 0; i < 3; i++)
        {
            string[] lasts = (await probe.RunAsync($"workload last /mnt/{disks[i]}/first; workload last /mnt/{disks[i + 1]}/second")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
            Assert.Equal([numbers[i].First, numbers[i].Second], lasts.Select(long.Parse));
        }
        _store.TurnOff("probe");
        Assert.Empty(_store.Engine.Test());
    }

    [GuestFact("e2fsck")]
    public async Task Ten_of_fifty_linked_clones_of_one_template_boot_at_once_and_the_template_is_untouched()
    {
        const int Booted = 10;
        _store.AddVm("golden", disks: 1, memoryMiB: 96);
        _store.Engine.Machines.Set("golden", new VmChanges { NetworkAdapters = [new VmNetworkAdapter("", "none")] }).Run();
        var template = _store.Engine.Templates.Create(new VmCloneRequest { Source = "golden", Name = "base" }).Run();
        _store.Engine.Operations.Run([.. template.Clones.Copies.Select(c => c.Id)]);
        _store.Engine.Machines.Remove("golden", removeVolumes: true, removeSnapshots: true).Run();
        var clock = Stopwatch.StartNew();
        var made = _store.Engine.Templates.Instantiate(new VmCloneRequest { Source = "base", Name = "web-##", Count = 50, Linked = true }).Run().Vms;
        output.WriteLine($"50 VMs in {clock.Elapsed.TotalSeconds:0.00} s");
        var files = _store.LayerFilesOf(made[0].Volumes[0].Volume).Skip(1).Select(f => Path.Combine(_store.Store, "layers", f)).ToList();
        var untouched = files.ConvertAll(f => (Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(f))), File.GetLastWriteTimeUtc(f)));
        Assert.Equal(50, made.Select(v => v.Id).Distinct().Count());
        Assert.Equal(50, made.Select(v => v.NetworkAdapters[0].MacAddress).Distinct().Count());
        Assert.Equal(50, made.Select(v => v.GenerationId).Distinct().Count());
        Assert.Equal(50, made.Select(v => v.Volumes[0].VolumeId).Distinct().Count());

        var booted = made.Take(Booted).Select(v => v.Name).ToList();
        booted.ForEach(_store.MovePorts);
        clock.Restart();
        // Each in a session of its own, all in the same moment.
        await Task.WhenAll(booted.Select(name => Task.Run(() =>
        {
            using var session = _store.Open();
            session.Machines.Start(name).Run();
        })));
        output.WriteLine($"{Booted} started after {clock.Elapsed.TotalSeconds:0.0} s");
        var shells = await Task.WhenAll(booted.Select(_store.ConnectAsync));
        output.WriteLine($"{Booted} at their shell after {clock.Elapsed.TotalSeconds:0.0} s");
        string[] seen = await Task.WhenAll(shells.Select((shell, i) => shell.RunAsync(
            $"mkdir /mnt; mount -t ext4 /dev/vda /mnt && [ ! -e /mnt/name ] && echo {booted[i]} >/mnt/name && umount /mnt && cat /sys/class/dmi/id/product_uuid /sys/block/vda/serial /sys/bus/pci/drivers/virtio-pci/*/subsystem_device")));
        Assert.Equal(Booted, seen.Distinct().Count());
        Assert.All(booted.Zip(seen), s => Assert.Contains(_store.Engine.Machines.Get(s.First).Id.ToString(), s.Second, StringComparison.OrdinalIgnoreCase));
        booted.ForEach(_store.TurnOff);
        output.WriteLine($"all off after {clock.Elapsed.TotalSeconds:0.0} s");

        Assert.Equal(untouched, files.ConvertAll(f => (Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(f))), File.GetLastWriteTimeUtc(f))));
        foreach (string name in booted)
        {
            string raw = _store.File("one.raw");
            _store.Engine.Volumes.Export(_store.Engine.Machines.Get(name).Volumes[0].Volume, null, raw, ImageFileFormat.Raw).Run();
            Tool.Run("e2fsck", ["-f", "-n", raw]);
            Assert.Equal(name, Tool.Run("debugfs", ["-R", "cat /name", raw]).Split('\n').First(l => !l.StartsWith("debugfs", StringComparison.Ordinal)));
            File.Delete(raw);
        }
        Assert.Empty(_store.Engine.Test());
    }
}
