using SnapshotTools.Core;
using SnapshotTools.Qemu.Machines;

namespace SnapshotTools.Qemu.Blocks;

/// <summary>The file that a running disk writes to.</summary>
/// <param name="TopNode">The node that the device reads from and writes to.</param>
/// <param name="Path">The file.</param>
/// <param name="BypassesPageCache">Whether it is read and written past the host's page cache.</param>
internal sealed record RunningHead(string TopNode, string Path, bool BypassesPageCache)
{
    /// <summary>Finds disks by the files that they write to.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.ComputeFailed"/>: no disk writes to one of them.</exception>
    public static async Task<IReadOnlyList<RunningHead>> FindAsync(QemuMachine machine, BlockEdges edges, IReadOnlyList<string> paths, CancellationToken cancellation)
    {
        if (paths.Count == 0) return [];
        if (FindByName(machine, edges, paths) is { } found) return found;
        var graph = await BlockGraph.QueryAsync(machine, cancellation).ConfigureAwait(false);
        return [.. paths.Select(path => Of(graph, graph.DeviceOf(path)))];
    }

    /// <summary>
    /// The usual case: nodes that were named here, right below their devices. Then nothing has to be asked that takes QEMU longer with each layer;
    /// null when one of them is not like that.
    /// </summary>
    internal static IReadOnlyList<RunningHead>? FindByName(QemuMachine machine, BlockEdges edges, IReadOnlyList<string> paths)
    {
        var open = OpenFile.Of(machine.Process).ToLookup(f => f.Path);
        var heads = new List<RunningHead>();
        foreach (string path in paths)
        {
            string node = NodeName.OfLayer(path);
            if (!edges.IsOfDevice(node) || open[path].FirstOrDefault()?.BypassesPageCache() is not { } isDirect) return null;
            heads.Add(new RunningHead(node, path, isDirect));
        }
        return heads;
    }

    private static RunningHead Of(BlockGraph graph, BlockDevice device)
    {
        var top = graph.LayersOf(device.TopNode)[0];
        return new RunningHead(device.TopNode, top.Path, top.BypassesPageCache);
    }
}
