using System.Text.Json;
using SnapshotTools.Qemu.Machines;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu.Blocks;

/// <summary>Which block node of a running QEMU lies on which, and which of them devices have.</summary>
internal sealed class BlockEdges
{
    private static readonly Dictionary<string, string> None = [];

    private readonly Dictionary<string, Dictionary<string, string>> _children = [];
    private readonly HashSet<string> _used = [];
    private readonly HashSet<string> _written = [];
    private readonly List<BlockDevice> _devices = [];

    private BlockEdges(JsonElement graph)
    {
        var things = (graph.MemberOf("nodes") ?? default).ItemsOf().Where(n => n.NumberOf("id") is not null)
            .ToDictionary(n => n.NumberOf("id")!.Value, n => (Name: n.TextOf("name") ?? "", Type: n.TextOf("type")));
        Nodes = [.. things.Values.Where(t => t.Type == "block-driver").Select(t => t.Name)];
        // In the order of the devices, which are numbered first.
        foreach (var edge in (graph.MemberOf("edges") ?? default).ItemsOf().OrderBy(e => e.NumberOf("parent")))
        {
            if (!things.TryGetValue(edge.NumberOf("child") ?? -1, out var child) || !things.TryGetValue(edge.NumberOf("parent") ?? -1, out var parent)) continue;
            _used.Add(child.Name);
            // Without a name it is a job's or an export's.
            if (parent is { Type: "block-backend", Name.Length: > 0 }) _devices.Add(new BlockDevice(parent.Name, child.Name));
            if (parent.Type != "block-driver") continue;
            if (!_children.TryGetValue(parent.Name, out var roles)) _children[parent.Name] = roles = [];
            roles[edge.TextOf("name") ?? ""] = child.Name;
            if (edge.TextOf("name") == "file" && (edge.MemberOf("perm") ?? default).ItemsOf().Any(p => p.ValueEquals("write"))) _written.Add(parent.Name);
        }
    }

    /// <summary>The names of all nodes.</summary>
    public IReadOnlyList<string> Nodes { get; }

    /// <summary>The disks that have something in them.</summary>
    public IReadOnlyList<BlockDevice> Devices => _devices;

    /// <summary>Asks QEMU.</summary>
    public static async Task<BlockEdges> QueryAsync(QemuMachine machine, CancellationToken cancellation = default) =>
        new(await machine.Monitor.ExecuteAsync("x-debug-query-block-graph", cancellation: cancellation).ConfigureAwait(false));

    /// <summary>The nodes below a node, by role such as <c>file</c> and <c>backing</c>.</summary>
    public IReadOnlyDictionary<string, string> ChildrenOf(string node) => _children.GetValueOrDefault(node) ?? None;

    /// <summary>Whether a device, a job or another node uses a node.</summary>
    public bool IsUsed(string node) => _used.Contains(node);

    /// <summary>Whether a node is open for writing.</summary>
    public bool IsWritten(string node) => _written.Contains(node);
}
