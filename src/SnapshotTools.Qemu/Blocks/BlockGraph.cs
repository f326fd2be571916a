using SnapshotTools.Core;
using SnapshotTools.Qemu.Machines;

namespace SnapshotTools.Qemu.Blocks;

/// <summary>A disk as the guest has it.</summary>
/// <param name="Id">The id or QOM path of the device in QEMU, or the name of its <c>-drive</c>.</param>
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
    private readonly BlockEdges _edges;
    private readonly Dictionary<string, BlockNode> _nodes;
    private readonly IReadOnlyList<OpenFile> _openFiles;
    private readonly IReadOnlyDictionary<string, string> _names;

    private BlockGraph(BlockEdges edges, Dictionary<string, BlockNode> nodes, IReadOnlyList<OpenFile> openFiles, IReadOnlyDictionary<string, string> names) =>
        (_edges, _nodes, _openFiles, _names) = (edges, nodes, openFiles, names);

    /// <summary>The names of all nodes.</summary>
    public IReadOnlyList<string> Nodes => _edges.Nodes;

    /// <summary>The disks that have something in them.</summary>
    public IReadOnlyList<BlockDevice> Devices => _edges.Devices;

    /// <summary>Asks QEMU, no more than it has to; block jobs and hot-plugging are the caller's own and do not run meanwhile.</summary>
    /// <param name="machine">The machine.</param>
    /// <param name="heads">For who needs only the heads of these disks: the files that they write to.</param>
    /// <param name="cancellation">Gives up.</param>
    public static async Task<BlockGraph> QueryAsync(QemuMachine machine, IReadOnlyCollection<string>? heads = null, CancellationToken cancellation = default)
    {
        var edges = await BlockEdges.QueryAsync(machine, cancellation).ConfigureAwait(false);
        var open = OpenFile.Of(machine.Process);
        var wanted = heads is null ? open : [.. open.Where(f => heads.Contains(f.Path))];
        var known = new BlockGraph(edges, BlockNode.ByName(edges.Nodes, wanted), open, machine.Names);
        bool isEnough = heads is null ? edges.Nodes.All(n => known._nodes.ContainsKey(n) || NodeName.IsOfFirmware(n)) : heads.All(h => known.FindDeviceOf(h) is not null);
        return isEnough ? known : new BlockGraph(edges, await BlockNode.QueryAsync(machine, cancellation).ConfigureAwait(false), open, machine.Names);
    }

    /// <summary>Whether QEMU has this very file open, by whatever name; false where its process is not known.</summary>
    public bool HasOpen(string path) => _openFiles.Any(f => f.Path == path);

    /// <summary>Whether a device, a job or another node uses a node.</summary>
    public bool IsUsed(string node) => _edges.IsUsed(node);

    /// <summary>Whether a node is open for writing.</summary>
    public bool IsWritten(string node) => _edges.IsWritten(node);

    /// <summary>The node in a role below another, such as <c>file</c> or <c>backing</c>; null when there is none.</summary>
    public string? Below(string node, string role) => _edges.ChildrenOf(node).GetValueOrDefault(role);

    /// <summary>The device that writes to a file.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.ComputeFailed"/>: there is none.</exception>
    public BlockDevice DeviceOf(string head) => FindDeviceOf(head)
        ?? throw new SnapshotException(ErrorIds.ComputeFailed, ErrorKind.Failed,
            $"No disk of the running machine writes to '{head}', which by the catalog it should. Nothing was changed. Stop the machine and run Test-SnapshotStore.");

    /// <summary>The layers below a node, itself first. Nodes that only watch or throttle are passed over.</summary>
    public IReadOnlyList<RunningLayer> LayersOf(string topNode) => [.. Walk(topNode).Take(MaxDepth)];

    /// <summary>The first of them, which is written to; null when there is nothing.</summary>
    public RunningLayer? HeadOf(string topNode) => Walk(topNode).FirstOrDefault();

    private BlockDevice? FindDeviceOf(string head) => Devices.FirstOrDefault(d => HeadOf(d.TopNode)?.Path == head);

    private IEnumerable<RunningLayer> Walk(string topNode)
    {
        for (var node = Find(topNode); node is not null;)
        {
            if (FileBelow(node) is not { } file) break;
            if (!node.IsFilter) yield return new RunningLayer(node.Name, file.Name, AbsolutePath(file.FileName), file.BypassesPageCache);
            node = node.IsFilter ? DataBelow(node) : Find(Below(node.Name, "backing"));
        }
    }

    private BlockNode? FileBelow(BlockNode node)
    {
        for (int depth = 0; depth < MaxDepth; depth++)
        {
            if (_edges.ChildrenOf(node.Name).Count == 0) return node;
            if (DataBelow(node) is not { } next) return null;
            node = next;
        }
        return null;
    }

    private BlockNode? DataBelow(BlockNode node) => Find(Below(node.Name, "file") ?? Below(node.Name, "image") ?? Below(node.Name, "backing"));

    private BlockNode? Find(string? name) => name is null ? null : _nodes.GetValueOrDefault(name);

    private string AbsolutePath(string path)
    {
        // A layer that QEMU found by itself has the name by which the one above refers to it, behind that one's folder.
        // A relative name was seen from a folder that QEMU, once a daemon, is no longer in; but it has the file open.
        if (Path.IsPathRooted(path)) path = Path.GetFullPath(path);
        else path = _openFiles.FirstOrDefault(file => file.Path.EndsWith("/" + path.TrimStart('.', '/'), StringComparison.Ordinal))?.Path ?? path;
        return _names.GetValueOrDefault(path) ?? path;
    }
}
