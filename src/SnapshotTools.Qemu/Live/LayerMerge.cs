using SnapshotTools.Core;
using SnapshotTools.Qemu.Blocks;
using SnapshotTools.Qemu.Machines;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu.Live;

/// <summary>Merges two layers of a running disk: up with block-stream, down with block-commit.</summary>
internal static class LayerMerge
{
    private const string Nothing = "snapshottools-no-node";

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
                if (merge.Above is null) await MergeUpAsync(machine, merge, graph, layers, child, progress, cancellation).ConfigureAwait(false);
                else await MergeDownAsync(machine, merge, graph, device, layers, child, progress, cancellation).ConfigureAwait(false);
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
        {
            var layers = graph.LayersOf(device.TopNode);
            if (layers is [var head, ..] && graph.IsWritten(head.Node)) await FlushAsync(machine, head.Node).ConfigureAwait(false);
            for (int i = 1; i < layers.Count; i++) await FreezeAsync(machine, graph, layers[i]).ConfigureAwait(false);
        }
    }

    private static async Task MergeUpAsync(
        QemuMachine machine, LiveMerge merge, BlockGraph graph, IReadOnlyList<RunningLayer> layers, int child, IProgress<long>? progress, CancellationToken cancellation)
    {
        var parent = layers.ElementAtOrDefault(child + 2);
        if (parent?.Path != merge.Parent?.Path) throw NotAsKnown(merge.Parent?.Path ?? "nothing", parent?.Path ?? "nothing");
        await BlockJob.StreamAsync(machine, layers[child].Node, parent?.Node, merge.Parent?.Name, merge.BytesPerSecond, Reporter.To(progress), cancellation).ConfigureAwait(false);
        await WriteOutAsync(machine, graph, layers, child).ConfigureAwait(false);
        await CloseAsync(machine, layers[child + 1]).ConfigureAwait(false);
    }

    private static async Task MergeDownAsync(
        QemuMachine machine, LiveMerge merge, BlockGraph graph, BlockDevice device, IReadOnlyList<RunningLayer> layers, int child, IProgress<long>? progress, CancellationToken cancellation)
    {
        if (child == 0 || layers[child - 1].Path != merge.Above) throw NotAsKnown(merge.Above!, child == 0 ? "nothing" : layers[child - 1].Path);
        await BlockJob.CommitAsync(
            machine, device.TopNode, layers[child].Node, layers[child + 1].Node, merge.LayerName, merge.BytesPerSecond, Reporter.To(progress), cancellation).ConfigureAwait(false);
        await WriteOutAsync(machine, graph, layers, child + 1, child - 1).ConfigureAwait(false);
        await CloseAsync(machine, layers[child]).ConfigureAwait(false);
    }

    /// <summary>What was copied, and the name of a new base, may still be in QEMU's own cache; a layer that has gone is not to be let go of before they are in the files.</summary>
    private static async Task WriteOutAsync(QemuMachine machine, BlockGraph before, IReadOnlyList<RunningLayer> layers, params int[] written)
    {
        var after = await BlockGraph.QueryAsync(machine).ConfigureAwait(false);
        foreach (int i in written)
        {
            if (i == 0) await FlushAsync(machine, layers[i].Node).ConfigureAwait(false);
            else if (!before.IsWritten(layers[i].Node)) await FreezeAsync(machine, after, layers[i]).ConfigureAwait(false);
        }
    }

    /// <summary>
    /// Writes out a head, which stays open for writing. QMP has no word for that, and the human monitor's <c>qemu-io NODE flush</c> does not tell
    /// that it failed; but a snapshot writes the node out, or fails, before it looks for its overlay, of which there is none.
    /// </summary>
    private static async Task FlushAsync(QemuMachine machine, string node)
    {
        try
        {
            await machine.Monitor.ExecuteAsync("blockdev-snapshot", new() { ["node"] = node, ["overlay"] = Nothing }, CancellationToken.None).ConfigureAwait(false);
        }
        catch (QmpException e)
        {
            if (!e.Description.Contains(Nothing, StringComparison.Ordinal)) throw NotWritten(e.Description);
        }
    }

    /// <summary>Writes out a layer that QEMU opened for writing to merge into it, and did not make read-only again afterwards: it says nothing when that fails.</summary>
    private static async Task FreezeAsync(QemuMachine machine, BlockGraph graph, RunningLayer layer)
    {
        if (!graph.IsWritten(layer.Node)) return;
        if (!NodeName.IsOurs(layer.Node)) throw NotWritten($"'{layer.Path}' is still open for writing; stop the machine, and its layers are merged anew");
        try
        {
            await LayerReplacement.ReopenAsync(machine, layer, graph.Below(layer.Node, "backing"), readOnly: true).ConfigureAwait(false);
        }
        catch (QmpException e)
        {
            throw NotWritten(e.Description);
        }
    }

    private static BlockJobException NotWritten(string reason) => new("Writing out the merged layer", reason);

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
