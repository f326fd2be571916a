using System.Text.Json;
using System.Text.Json.Nodes;
using SnapshotTools.Core;
using SnapshotTools.Qemu.Machines;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu.Blocks;

/// <summary>A block node of a running QEMU.</summary>
/// <param name="Name">Its name; one that QEMU gave begins with <c>#</c>.</param>
/// <param name="Driver">Such as <c>qcow2</c> or <c>file</c>.</param>
/// <param name="FileName">What it opened, for a node that opens something itself; else what the node below opened.</param>
/// <param name="BypassesPageCache">Whether it reads and writes past the host's page cache.</param>
/// <param name="VirtualSize">The size that a reader sees, in bytes.</param>
/// <param name="Children">The nodes below it, by role such as <c>file</c> and <c>backing</c>.</param>
/// <param name="IsReadOnly">Whether QEMU does not write to it.</param>
public sealed record BlockNode(
    string Name, string Driver, string FileName, bool BypassesPageCache, long VirtualSize, IReadOnlyDictionary<string, string> Children, bool IsReadOnly);

/// <summary>A disk as the guest has it.</summary>
/// <param name="Id">The id or QOM path of the device in QEMU; for one without, the name of its <c>-drive</c>.</param>
/// <param name="TopNode">The node that it reads from and writes to.</param>
public sealed record BlockDevice(string Id, string TopNode);

/// <summary>A layer of a running disk.</summary>
/// <param name="Node">The node that understands its format.</param>
/// <param name="FileNode">The node of its file.</param>
/// <param name="Path">The absolute path that QEMU opened.</param>
/// <param name="BypassesPageCache">Whether its file is read and written past the host's page cache.</param>
public sealed record RunningLayer(string Node, string FileNode, string Path, bool BypassesPageCache);

/// <summary>The block nodes of a running QEMU at one moment, however it was started: with <c>-blockdev</c>, or with
/// <c>-drive</c>, whose nodes have no names but what QEMU gave them.</summary>
public sealed class BlockGraph
{
    private const int MaxDepth = 10_000;
    private readonly Dictionary<string, BlockNode> _nodes;
    private readonly string[] _openFiles;
    private readonly IReadOnlyDictionary<string, string> _names;

    private BlockGraph(Dictionary<string, BlockNode> nodes, IReadOnlyList<BlockDevice> devices, string[] openFiles, IReadOnlyDictionary<string, string> names) =>
        (_nodes, Devices, _openFiles, _names) = (nodes, devices, openFiles, names);

    /// <summary>All nodes.</summary>
    public IReadOnlyCollection<BlockNode> Nodes => _nodes.Values;

    /// <summary>The disks that have something in them.</summary>
    public IReadOnlyList<BlockDevice> Devices { get; }

    /// <summary>Asks QEMU.</summary>
    public static async Task<BlockGraph> QueryAsync(QemuMachine machine, CancellationToken cancellation = default)
    {
        // One after the other, since the guest's devices stand while QEMU answers; block jobs and hot-plugging are the caller's own and do not run meanwhile.
        var nodes = await machine.Monitor.ExecuteAsync("query-named-block-nodes", new JsonObject { ["flat"] = true }, cancellation).ConfigureAwait(false);
        var edges = await BlockEdges.QueryAsync(machine, cancellation).ConfigureAwait(false);
        var devices = await machine.Monitor.ExecuteAsync("query-block", cancellation: cancellation).ConfigureAwait(false);
        return new BlockGraph(
            nodes.ItemsOf().Select(n => NodeOf(n, edges)).ToDictionary(n => n.Name), [.. devices.ItemsOf().Select(DeviceOf).OfType<BlockDevice>()],
            [.. OpenFile.Of(machine.Process).Select(f => f.Path)], machine.Names);
    }

    /// <summary>Whether QEMU has this very file open, by whatever name; false where its process is not known.</summary>
    public bool HasOpen(string path) => _openFiles.Contains(path);

    /// <summary>The node of a name, or null.</summary>
    public BlockNode? Find(string name) => _nodes.GetValueOrDefault(name);

    /// <summary>The device that writes to a file.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.ComputeFailed"/>: there is none.</exception>
    public BlockDevice DeviceOf(string head) => Devices.FirstOrDefault(d => LayersOf(d.TopNode) is [var top, ..] && top.Path == head)
        ?? throw new SnapshotException(ErrorIds.ComputeFailed, ErrorKind.Failed,
            $"No disk of the running machine writes to '{head}', which by the catalog it should. Nothing was changed. Stop the machine and run Test-SnapshotStore.");

    /// <summary>The layers below a node, itself first. Nodes that only watch or throttle are passed over.</summary>
    public IReadOnlyList<RunningLayer> LayersOf(string topNode)
    {
        var layers = new List<RunningLayer>();
        for (var node = Find(topNode); node is not null && layers.Count < MaxDepth;)
        {
            if (FileBelow(node) is not { } file) break;
            if (IsFilter(node))
            {
                node = Below(node, "file") ?? Below(node, "backing");
                continue;
            }
            layers.Add(new RunningLayer(node.Name, file.Name, AbsolutePath(file.FileName), file.BypassesPageCache));
            node = Below(node, "backing");
        }
        return layers;
    }

    private BlockNode? FileBelow(BlockNode node)
    {
        for (int depth = 0; depth < MaxDepth; depth++)
        {
            if (node.Children.Count == 0) return node;
            if ((Below(node, "file") ?? Below(node, "backing")) is not { } next) return null;
            node = next;
        }
        return null;
    }

    private BlockNode? Below(BlockNode node, string role) => node.Children.TryGetValue(role, out string? name) ? Find(name) : null;

    private string AbsolutePath(string path)
    {
        // A layer that QEMU found by itself has the name by which the one above refers to it, behind that one's folder.
        // A relative name was seen from a folder that QEMU, once a daemon, is no longer in; but it has the file open.
        if (Path.IsPathRooted(path)) path = Path.GetFullPath(path);
        else path = _openFiles.FirstOrDefault(file => file.EndsWith("/" + path.TrimStart('.', '/'), StringComparison.Ordinal)) ?? path;
        return _names.GetValueOrDefault(path) ?? path;
    }

    private static bool IsFilter(BlockNode node) => node.Driver is
        "throttle" or "copy-on-read" or "copy-before-write" or "commit_top" or "mirror_top" or "cor_filter" or "blklogwrites" or "compress"
        or "snapshot-access" or "preallocate" or "blkdebug" or "blkverify" or "replication";

    private static BlockNode NodeOf(JsonElement node, BlockEdges edges)
    {
        string name = node.TextOf("node-name") ?? "";
        return new BlockNode(
            name, node.TextOf("drv") ?? "", node.TextOf("file") ?? "", node.MemberOf("cache")?.FlagOf("direct") ?? false,
            node.MemberOf("image")?.NumberOf("virtual-size") ?? 0, edges.ChildrenOf(name), node.FlagOf("ro") ?? false);
    }

    private static BlockDevice? DeviceOf(JsonElement device)
    {
        if (device.MemberOf("inserted")?.TextOf("node-name") is not { } top) return null;
        string? id = device.TextOf("qdev") is { Length: > 0 } path ? path : device.TextOf("device");
        return id is { Length: > 0 } ? new BlockDevice(id, top) : null;
    }
}
