using SnapshotTools.Core;
using SnapshotTools.IO;
using SnapshotTools.Qemu.Blocks;
using SnapshotTools.Qemu.Launch;
using SnapshotTools.Qemu.Live;
using SnapshotTools.Qemu.Machines;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Qemu.Tests.Live;

/// <summary>Merges under a QEMU that cannot write out what it copied. No guest is needed: it stands before its first instruction.</summary>
[Collection(LiveTests.Name)]
public sealed class MergeFailureTests : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private QemuMachine? _machine;

    public async ValueTask DisposeAsync()
    {
        if (_machine is not null)
        {
            await _machine.TurnOffAsync();
            await _machine.DisposeAsync();
        }
        _folder.Dispose();
    }

    [ToolTheory("qemu-system-x86_64", "qemu-img", "qemu-io")]
    [InlineData("head", true)]
    [InlineData("head", false)]
    [InlineData("child", true)]
    [InlineData("child", false)]
    public async Task A_layer_whose_data_did_not_reach_the_disk_is_kept(string into, bool fails)
    {
        // head on child on layer on base; what the writes below one of them come to is for QEMU's fault injection (blkdebug) to say.
        string[] names = into == "head" ? ["head", "layer", "base"] : ["head", "child", "layer", "base"];
        var machine = await StartAsync(names, into, fails);
        var merge = new LiveMerge(File("layer"), File(into), (File("base"), File("base")), null, "", 0);
        if (!fails)
        {
            Assert.True(await LayerMerge.TryRunAsync(machine, merge, null, default));
            await LayerMerge.EndAbandonedAsync(machine);
            Assert.DoesNotContain(NodeName.OfLayer(File("layer")), (await BlockGraph.QueryAsync(machine)).Nodes);
            return;
        }
        var error = await Assert.ThrowsAsync<BlockJobException>(() => LayerMerge.TryRunAsync(machine, merge, null, default));
        Assert.Contains("Writing out", error.Message, StringComparison.Ordinal);
        Assert.Contains(NodeName.OfLayer(File("layer")), (await BlockGraph.QueryAsync(machine)).Nodes);

        // The disk lies on the base by now, which is what the next session finds; it must not take that for merged either.
        Assert.False(await LayerMerge.TryRunAsync(machine, merge, null, default));
        await Assert.ThrowsAsync<BlockJobException>(() => LayerMerge.EndAbandonedAsync(machine));
    }

    private string File(string name) => _folder.File(name + ".qcow2");

    /// <summary>Layers, the head first, of which the last but one has data; after the first flush of one of them nothing can be written to it.</summary>
    private async Task<QemuMachine> StartAsync(string[] names, string faulty, bool fails)
    {
        var arguments = new List<string>();
        for (int i = names.Length - 1; i >= 0; i--)
        {
            string path = File(names[i]), below = NodeName.OfFile(path);
            string? backing = i + 1 < names.Length ? NodeName.OfLayer(File(names[i + 1])) : null;
            Tool.Run("qemu-img", ["create", "-q", "-f", "qcow2", .. backing is null ? Array.Empty<string>() : ["-b", File(names[i + 1]), "-F", "qcow2"], path, "64M"]);
            if (names[i] == "layer") Tool.Run("qemu-io", ["-f", "qcow2", "-c", "write -P 5 0 1M", path]);
            arguments.AddRange(["-blockdev", BlockDefinition.OfFile(new ChainFile(path, LayerFormat.Qcow2), BlockCache.WriteBack).ToJsonString()]);
            var format = BlockDefinition.OfFormat(new ChainFile(path, LayerFormat.Qcow2), backing, readOnly: i > 0);
            if (names[i] == faulty)
            {
                string faults = fails ? """, "inject-error": [{"event": "flush_to_os", "iotype": "write", "once": false}]""" : "";
                arguments.AddRange(["-blockdev", $$"""{"driver": "blkdebug", "node-name": "faults", "image": "{{below}}"{{faults}}}"""]);
                format["file"] = "faults";
            }
            arguments.AddRange(["-blockdev", format.ToJsonString()]);
        }
        return _machine = await new QemuLauncher(SystemFiles.Instance, runRoot: _folder.File("run")).StartAsync(new MachineSpec
        {
            Id = Guid.NewGuid(),
            Name = "web01",
            MemoryBytes = 64 << 20,
            Accelerator = Accelerator.Tcg,
            StartPaused = true,
            ExtraArguments = [.. arguments, "-device", $"virtio-blk-pci,drive={NodeName.OfLayer(File(names[0]))}"],
        });
    }
}
