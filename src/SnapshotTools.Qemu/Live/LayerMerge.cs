using SnapshotTools.Core;
using SnapshotTools.Qemu.Blocks;
using SnapshotTools.Qemu.Machines;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu.Live;

/// <summary>Merges two layers of a running disk: up with block-stream, down with block-commit.</summary>
internal static class LayerMerge
{
    /// <summary>Merges; false when no disk of the machine has the two layers one over the other.</summary>
    public static async Task<bool> TryRunAsync(QemuMachine machine, LiveMerge merge, IProgress<long>? progress, CancellationToken cancellation)
    {
        await BlockJob.EndAbandonedAsync(machine).ConfigureAwait(false);
        var graph = await BlockGraph.QueryAsync(machine, cancellation: cancellation).ConfigureAwait(false);
        foreach (var device in graph.Devices)
        {
            var layers = graph.LayersOf(device.TopNode);
            int child = layers.Select(l => l.Path).ToList().IndexOf(merge.Child);
            if (child < 0 || child + 1 >= layers.Count || layers[child + 1].Path != merge.Layer) continue;
            try
            {
                if (merge.Above is null) await MergeUpAsync(machine, merge, layers, child, progress, cancellation).ConfigureAwait(false);
                else await MergeDownAsync(machine, merge, device, layers, child, progress, cancellation).ConfigureAwait(false);
            }
            catch (Exception e) when (e is QmpException or BlockJobException && e.Message.Contains(" lock", StringComparison.Ordinal))
            {
                throw new SnapshotException(ErrorIds.ImageInUse, ErrorKind.Busy, $"Another program has a layer of the running disk '{device.Id}' open: {e.Message}", cause: e);
            }
            return true;
        }
        return false;
    }

    /// <summary>Ends the merges that a session which is gone began. What they copied into heads is in the images then, not only in QEMU.</summary>
    public static async Task EndAbandonedAsync(QemuMachine machine)
    {
        await BlockJob.EndAbandonedAsync(machine).ConfigureAwait(false);
        var graph = await BlockGraph.QueryAsync(machine).ConfigureAwait(false);
        foreach (var device in graph.Devices)
            if (graph.LayersOf(device.TopNode) is [var head, _, ..]) await FlushAsync(machine, head.Node).ConfigureAwait(false);
    }

    private static async Task MergeUpAsync(QemuMachine machine, LiveMerge merge, IReadOnlyList<RunningLayer> layers, int child, IProgress<long>? progress, CancellationToken cancellation)
    {
        var parent = layers.ElementAtOrDefault(child + 2);
        if (parent?.Path != merge.Parent?.Path) throw NotAsKnown(merge.Parent?.Path ?? "nothing", parent?.Path ?? "nothing");
        await BlockJob.StreamAsync(machine, layers[child].Node, parent?.Node, merge.Parent?.Name, merge.BytesPerSecond, Reporter.To(progress), cancellation).ConfigureAwait(false);
        // A head stays open for writing, and what was copied may still be in QEMU's own cache; QMP has no word for that.
        if (child == 0) await FlushAsync(machine, layers[0].Node).ConfigureAwait(false);
        await CloseAsync(machine, layers[child + 1]).ConfigureAwait(false);
    }

    private static async Task MergeDownAsync(
        QemuMachine machine, LiveMerge merge, BlockDevice device, IReadOnlyList<RunningLayer> layers, int child, IProgress<long>? progress, CancellationToken cancellation)
    {
        if (child == 0 || layers[child - 1].Path != merge.Above) throw NotAsKnown(merge.Above!, child == 0 ? "nothing" : layers[child - 1].Path);
        await BlockJob.CommitAsync(
            machine, device.TopNode, layers[child].Node, layers[child + 1].Node, merge.LayerName, merge.BytesPerSecond, Reporter.To(progress), cancellation).ConfigureAwait(false);
        if (child == 1) await FlushAsync(machine, layers[0].Node).ConfigureAwait(false);
        await CloseAsync(machine, layers[child]).ConfigureAwait(false);
    }

    private static async Task FlushAsync(QemuMachine machine, string node)
    {
        var said = await machine.Monitor.ExecuteAsync("human-monitor-command", new() { ["command-line"] = $"qemu-io {node} flush" }, CancellationToken.None).ConfigureAwait(false);
        if (said.GetString() is { Length: > 0 } words && words.Contains("rror", StringComparison.Ordinal))
            throw new BlockJobException("Writing out the merged layer", words.Trim());
    }

    private static async Task CloseAsync(QemuMachine machine, RunningLayer layer)
    {
        await DiskSwitch.TryCloseAsync(machine, layer.Node).ConfigureAwait(false);
        await DiskSwitch.TryCloseAsync(machine, layer.FileNode).ConfigureAwait(false);
    }

    private static SnapshotException NotAsKnown(string wanted, string found) => new(ErrorIds.ComputeFailed, ErrorKind.Failed,
        $"The running disk has '{found}' where by the catalog it should have '{wanted}'. Nothing was merged. Stop the machine and run Test-SnapshotStore.");

    private sealed class Reporter(IProgress<long> target) : IProgress<BlockJobProgress>
    {
        public static Reporter? To(IProgress<long>? target) => target is null ? null : new Reporter(target);

        public void Report(BlockJobProgress value) => target.Report(value.DoneBytes);
    }
}
