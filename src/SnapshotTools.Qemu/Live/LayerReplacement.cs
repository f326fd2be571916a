using System.Text.Json.Nodes;
using SnapshotTools.Core;
using SnapshotTools.Qemu.Blocks;
using SnapshotTools.Qemu.Machines;

namespace SnapshotTools.Qemu.Live;

/// <summary>
/// Lets a running disk read a frozen layer, and all under it, from another file that reads the same: the layer above is given the
/// new file as its backing node in one step between two requests of the guest, and the old nodes are closed. (blockdev-reopen)
/// </summary>
internal static class LayerReplacement
{
    /// <summary>Takes the file that lies at a layer's path by now, for all disks that still read the one that was there and lies on others.</summary>
    /// <returns>False when a disk has it under nodes that were not defined here: what else they were opened with cannot be asked for.</returns>
    public static async Task<bool> TakeAsync(QemuMachine machine, string layer)
    {
        var graph = await BlockGraph.QueryAsync(machine).ConfigureAwait(false);
        bool isTaken = true;
        foreach (var device in graph.Devices)
        {
            var layers = graph.LayersOf(device.TopNode);
            int index = layers.Select(l => l.Path).ToList().IndexOf(layer);
            if (index < 1 || index + 1 == layers.Count) continue;
            if (NodeName.IsOurs(layers[index - 1].Node)) await TakeAsync(machine, layers, index).ConfigureAwait(false);
            else isTaken = false;
        }
        return isTaken;
    }

    private static async Task TakeAsync(QemuMachine machine, IReadOnlyList<RunningLayer> layers, int index)
    {
        var (above, old) = (layers[index - 1], layers[index]);
        var file = new ChainFile(old.Path, LayerFormat.Qcow2);
        // The names that belong to the path are the old nodes' for as long as both are open.
        string name = $"{old.Path}\n{Guid.NewGuid():N}", node = NodeName.OfLayer(name), fileNode = NodeName.OfFile(name);
        try
        {
            var fileDefinition = BlockDefinition.OfFile(file, old.BypassesPageCache ? BlockCache.Direct : BlockCache.WriteBack);
            fileDefinition["node-name"] = fileNode;
            await machine.Monitor.ExecuteAsync("blockdev-add", fileDefinition, CancellationToken.None).ConfigureAwait(false);
            var definition = BlockDefinition.OfFormat(file, backing: null, readOnly: true);
            (definition["node-name"], definition["file"]) = (node, fileNode);
            await machine.Monitor.ExecuteAsync("blockdev-add", definition, CancellationToken.None).ConfigureAwait(false);
            bool isReadOnly = await BlockNode.IsReadOnlyAsync(machine, above.Node).ConfigureAwait(false);
            await ReopenAsync(machine, above, node, isReadOnly).ConfigureAwait(false);
        }
        catch
        {
            await DiskSwitch.TryCloseAsync(machine, node).ConfigureAwait(false);
            await DiskSwitch.TryCloseAsync(machine, fileNode).ConfigureAwait(false);
            throw;
        }
        // From the top down; what another disk reads too stays open.
        foreach (var layer in layers.Skip(index))
        {
            await DiskSwitch.TryCloseAsync(machine, layer.Node).ConfigureAwait(false);
            await DiskSwitch.TryCloseAsync(machine, layer.FileNode).ConfigureAwait(false);
        }
    }

    /// <summary>Opens a layer of ours anew, over a backing node. QEMU writes out first what it holds of the layer.</summary>
    internal static Task ReopenAsync(QemuMachine machine, RunningLayer layer, string? backing, bool readOnly)
    {
        var reopened = BlockDefinition.OfFormat(new ChainFile(layer.Path, LayerFormat.Qcow2), backing, readOnly);
        (reopened["node-name"], reopened["file"]) = (layer.Node, layer.FileNode);
        return machine.Monitor.ExecuteAsync("blockdev-reopen", new JsonObject { ["options"] = new JsonArray(reopened) }, CancellationToken.None);
    }
}
