using SnapshotTools.Core;
using SnapshotTools.Guest;
using SnapshotTools.IO;
using SnapshotTools.Qemu.Blocks;
using SnapshotTools.Qemu.Live;
using SnapshotTools.Qemu.Qmp;
using SnapshotTools.Testing;
using Xunit;
using Xunit.Abstractions;

namespace SnapshotTools.Qemu.Tests.Live;

[Collection(LiveTests.Name)]
public class DiskSwitchTests(ITestOutputHelper output)
{
    [GuestFact("e2fsck", "debugfs")]
    public async Task Two_disks_switch_in_one_instant_under_load()
    {
        await using var guest = await new LiveGuest(disks: 2).BootAsync();
        await guest.StartWorkAsync();
        using var ticks = guest.ListenToTicks();

        var bases = guest.Spec.Disks.Select(d => d.Layers[0]).ToArray();
        var heads = bases.Select(guest.NewLayer).ToArray();
        await using (var prepared = await guest.PrepareAsync(heads))
        {
            Assert.Equal(bases.Select(b => b.Path), prepared.CurrentPaths);
            prepared.WriteOut(SystemFiles.Instance);
            ticks.Take();
            var pause = await prepared.CommitAsync();
            await guest.WaitForWorkAsync();
            output.WriteLine($"pause {pause.TotalMilliseconds:0.0} ms, seen by the guest {ticks.Take().Gap.TotalMilliseconds:0.0} ms");
        }
        var graph = await BlockGraph.QueryAsync(guest.Machine);
        for (int i = 0; i < 2; i++)
        {
            Assert.Equal([heads[i].Path, bases[i].Path], guest.LayersOf(graph, i).Select(l => l.Path));
        }

        // The frozen layers are of one instant: what a reader finds on the second disk was on the first before.
        var (first, second) = (guest.LastRecordOf(bases[0], "first"), guest.LastRecordOf(bases[1], "second"));
        output.WriteLine($"records {first} and {second}");
        Assert.True(second >= 1 && second <= first && first <= second + 1, $"{first} and {second}");
        Assert.True(await guest.QueryWorkAsync() > first);
    }

    [GuestFact]
    public async Task A_switch_that_fails_leaves_the_guest_as_it_was()
    {
        await using var guest = await new LiveGuest(disks: 2).BootAsync();
        await guest.StartWorkAsync();
        var bases = guest.Spec.Disks.Select(d => d.Layers[0]).ToArray();
        var before = (await BlockGraph.QueryAsync(guest.Machine)).Nodes.Order().ToArray();

        // The second head is no image: it cannot be opened, and the first one is closed again.
        var good = guest.NewLayer(bases[0]);
        var bad = new ChainFile(guest.File("bad.qcow2"), LayerFormat.Qcow2);
        File.WriteAllText(bad.Path, "no image");
        await Assert.ThrowsAsync<QmpException>(() => guest.PrepareAsync([good, bad]));
        Assert.Equal(before, (await BlockGraph.QueryAsync(guest.Machine)).Nodes.Order());

        // One head for two disks: both open, the transaction refuses as a whole.
        await using (var prepared = await DiskSwitch.PrepareAsync(guest.Machine, [new DiskHead(bases[0].Path, good), new DiskHead(bases[1].Path, guest.NewLayer(bases[1]))]))
        {
            // Somebody takes the second head away before the switch.
            await guest.Machine.Monitor.ExecuteAsync("blockdev-del", new() { ["node-name"] = NodeName.OfLayer(prepared.NewPaths.Last()) });
            await Assert.ThrowsAsync<QmpException>(() => prepared.CommitAsync());
            Assert.False(prepared.IsCommitted);
        }
        var after = await BlockGraph.QueryAsync(guest.Machine);
        Assert.Equal(before, after.Nodes.Order());
        Assert.Equal(bases.Select(b => b.Path), after.Devices.Select(d => after.LayersOf(d.TopNode).Single().Path));
        await guest.WaitForWorkAsync();
    }

    [GuestFact]
    public async Task What_a_killed_session_left_open_is_closed_by_the_next_and_a_switch_can_be_taken_back()
    {
        await using var guest = await new LiveGuest(disks: 1).BootAsync();
        await guest.StartWorkAsync();
        var below = guest.Spec.Disks[0].Layers[0];
        var abandoned = guest.NewLayer(below);
        _ = await guest.PrepareAsync([abandoned]);

        var head = guest.NewLayer(below);
        var prepared = await guest.PrepareAsync([head]);
        Assert.DoesNotContain(NodeName.OfLayer(abandoned.Path), (await BlockGraph.QueryAsync(guest.Machine)).Nodes);
        await prepared.CommitAsync();
        await guest.WaitForWorkAsync();
        await prepared.UndoAsync();
        await prepared.DisposeAsync();
        var graph = await BlockGraph.QueryAsync(guest.Machine);
        Assert.Equal([below.Path], graph.LayersOf(graph.Devices.Single().TopNode).Select(l => l.Path));
        Assert.DoesNotContain(NodeName.OfLayer(head.Path), graph.Nodes);
        await guest.WaitForWorkAsync();
    }

    /// <summary>What our own nodes are is told by their names and by the files that the process has open, so that QEMU need not compose the names of all layers while the guest stands.</summary>
    [GuestFact]
    public async Task Nodes_are_known_by_name_as_QEMU_would_tell_of_them()
    {
        foreach (var cache in new[] { BlockCache.WriteBack, BlockCache.Direct })
        {
            await using var guest = new LiveGuest(disks: 2);
            string code = guest.File("code.fd");
            File.WriteAllBytes(code, new byte[4 << 20]);
            guest.Spec = guest.Spec with { Cache = cache, FirmwareCode = code };
            var machine = await guest.StartAsync();
            var heads = guest.Spec.Disks.Select(d => d.Layers[0]).ToArray();
            for (int round = 0; round < 3; round++)
            {
                var edges = await BlockEdges.QueryAsync(machine);
                var named = BlockNode.ByName(edges.Nodes, OpenFile.Of(machine.Process));
                var asked = await BlockNode.QueryAsync(machine);
                Assert.Equal(4 * (round + 1), named.Count);
                Assert.All(named.Values.Where(n => n.Name[0] == 'f'), n => Assert.Equal(asked[n.Name], n));
                Assert.All(heads, h => Assert.Equal(cache == BlockCache.Direct, named[NodeName.OfFile(h.Path)].BypassesPageCache));
                Assert.Equal([NodeName.Firmware, NodeName.FirmwareFile], asked.Keys.Except(named.Keys).Order());
                Assert.Empty(BlockNode.ByName(edges.Nodes, []));

                heads = [.. heads.Select(guest.NewLayer)];
                await using var prepared = await guest.PrepareAsync(heads);
                await prepared.CommitAsync();
                var graph = await BlockGraph.QueryAsync(machine);
                Assert.All(heads, h => Assert.Equal(h.Path, graph.LayersOf(graph.DeviceOf(h.Path).TopNode)[0].Path));
                Assert.Equal(ErrorIds.ComputeFailed, Assert.Throws<SnapshotException>(() => graph.DeviceOf(guest.Spec.Disks[0].Layers[0].Path)).ErrorId);
            }
        }
    }

    [GuestFact]
    public async Task Disks_of_a_qemu_that_someone_else_started_are_found_and_switched()
    {
        await using var guest = new LiveGuest(disks: 1);
        var below = guest.Spec.Disks[0].Layers[0];
        string socket = guest.File("monitor");
        // -drive, with a relative name: no node has a name, and the device has no id.
        Tool.Run("env", ["--chdir", Path.GetDirectoryName(below.Path)!, "qemu-system-x86_64", "-nodefaults", "-display", "none", "-S", "-machine", "pc,accel=tcg",
            "-drive", $"file={Path.GetFileName(below.Path)},format=qcow2,if=virtio", "-qmp", $"unix:{socket},server=on,wait=off", "-daemonize"]);
        await using var machine = await Machines.QemuMachine.AttachAsync(QmpEndpoint.Unix(socket));
        try
        {
            Assert.NotNull(machine.Process);
            var graph = await BlockGraph.QueryAsync(machine);
            var device = Assert.Single(graph.Devices);
            Assert.Equal(below.Path, Assert.Single(graph.LayersOf(device.TopNode)).Path);

            var head = guest.NewLayer(below);
            await using var prepared = await DiskSwitch.PrepareAsync(machine, [new DiskHead(below.Path, head)]);
            await prepared.CommitAsync();
            graph = await BlockGraph.QueryAsync(machine);
            Assert.Equal([head.Path, below.Path], graph.LayersOf(graph.Devices.Single().TopNode).Select(l => l.Path));
        }
        finally
        {
            await machine.TurnOffAsync();
        }
    }
}
