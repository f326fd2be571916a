using System.Text.Json;
using System.Text.Json.Nodes;
using SnapshotTools.Qemu.Machines;
using SnapshotTools.Qemu.Qmp;

namespace SnapshotTools.Qemu.Blocks;

/// <summary>A block node of a running QEMU.</summary>
/// <param name="Name">Its name; one that QEMU gave begins with <c>#</c>.</param>
/// <param name="FileName">What it opened, for a node that opens something itself; else what the node below opened.</param>
/// <param name="BypassesPageCache">Whether it, the node of a file, reads and writes past the host's page cache.</param>
/// <param name="IsFilter">Whether it only watches or throttles what goes to the node below.</param>
internal sealed record BlockNode(string Name, string FileName, bool BypassesPageCache, bool IsFilter)
{
    /// <summary>
    /// Those nodes that their names, where they were given here, and the files that the process has open tell enough of. Nothing has to be asked for it: QEMU composes
    /// the names of all layers anew for each answer about nodes, which with many layers holds the guest's devices for long.
    /// </summary>
    public static Dictionary<string, BlockNode> ByName(IEnumerable<string> names, IReadOnlyList<OpenFile> open)
    {
        var (layers, files) = (new Dictionary<string, OpenFile>(), new Dictionary<string, OpenFile>());
        foreach (var file in open) layers[NodeName.OfLayer(file.Path)] = files[NodeName.OfFile(file.Path)] = file;
        var nodes = new Dictionary<string, BlockNode>();
        foreach (string name in names)
        {
            if (layers.TryGetValue(name, out var layer)) nodes.Add(name, new BlockNode(name, layer.Path, BypassesPageCache: false, IsFilter: false));
            else if (files.TryGetValue(name, out var file) && file.BypassesPageCache() is { } isDirect) nodes.Add(name, new BlockNode(name, file.Path, isDirect, IsFilter: false));
        }
        return nodes;
    }

    /// <summary>The nodes as QEMU tells of them.</summary>
    public static async Task<Dictionary<string, BlockNode>> QueryAsync(QemuMachine machine, CancellationToken cancellation = default) =>
        (await AskAsync(machine, cancellation).ConfigureAwait(false)).Select(Read).ToDictionary(n => n.Name);

    /// <summary>Whether QEMU does not write to a node.</summary>
    public static async Task<bool> IsReadOnlyAsync(QemuMachine machine, string name, CancellationToken cancellation = default) =>
        (await AskAsync(machine, cancellation).ConfigureAwait(false)).Any(n => n.TextOf("node-name") == name && n.FlagOf("ro") == true);

    private static async Task<IEnumerable<JsonElement>> AskAsync(QemuMachine machine, CancellationToken cancellation) =>
        (await machine.Monitor.ExecuteAsync("query-named-block-nodes", new JsonObject { ["flat"] = true }, cancellation).ConfigureAwait(false)).ItemsOf();

    private static BlockNode Read(JsonElement node) => new(
        node.TextOf("node-name") ?? "", node.TextOf("file") ?? "", node.MemberOf("cache")?.FlagOf("direct") ?? false,
        node.TextOf("drv") is "throttle" or "copy-on-read" or "copy-before-write" or "commit_top" or "mirror_top" or "cor_filter" or "blklogwrites" or "compress"
            or "snapshot-access" or "preallocate" or "blkdebug" or "blkverify" or "replication");
}
