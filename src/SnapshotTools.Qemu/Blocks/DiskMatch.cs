using SnapshotTools.Core;
using SnapshotTools.Qemu.Machines;

namespace SnapshotTools.Qemu.Blocks;

/// <summary>Finds the disks of a VM among those of a machine that someone else started.</summary>
internal static class DiskMatch
{
    /// <summary>Finds each disk; gives the names by which the machine opened layers, where they are not the layers' own.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.MachineMismatch"/>: a disk is not there, or lies on other layers.</exception>
    public static async Task<IReadOnlyDictionary<string, string>> RunAsync(QemuMachine machine, IReadOnlyList<MachineDisk> disks)
    {
        var graph = await BlockGraph.QueryAsync(machine).ConfigureAwait(false);
        var chains = graph.Devices.Select(d => (d.Id, Layers: graph.LayersOf(d.TopNode))).Where(c => c.Layers.Count > 0).ToList();
        var names = new Dictionary<string, string>();
        foreach (var disk in disks)
        {
            string[] wanted = [.. disk.Chain.Select(l => RealPath(l.Path))];
            var (id, found) = chains.Find(c => RealPath(c.Layers[0].Path) == wanted[0]);
            if (found is null)
            {
                throw Mismatch(disk, $"none of its disks writes to '{disk.Chain[0].Path}'. It has: "
                    + (chains.Count == 0 ? "no disk" : string.Join(", ", chains.Select(c => $"{c.Id} on '{c.Layers[0].Path}'"))));
            }
            if (found.Count != wanted.Length || wanted.Where((file, i) => !IsLayer(graph, found[i].Path, file, i, wanted[0])).Any())
                throw Mismatch(disk, $"its disk {id} lies on {found.Count} layers ({string.Join(", ", found.Select(l => Path.GetFileName(l.Path)))}), not on the {wanted.Length} of the store");
            for (int i = 0; i < wanted.Length; i++)
                if (found[i].Path != disk.Chain[i].Path) names[found[i].Path] = disk.Chain[i].Path;
        }
        return names;
    }

    /// <summary>
    /// Whether what QEMU opened by a name is this layer. A lower one may have been opened by the volume's stable path before snapshots
    /// were taken of it: that leads to the head by now, but QEMU has the layer's file open.
    /// </summary>
    private static bool IsLayer(BlockGraph graph, string name, string file, int depth, string head) =>
        RealPath(name) is var real && (real == file || (depth > 0 && real == head && graph.HasOpen(file)));

    private static SnapshotException Mismatch(MachineDisk disk, string what) => new(ErrorIds.MachineMismatch, ErrorKind.Conflict,
        $"This machine does not run volume '{disk.Attachment.Volume}' as the store has it: {what}. Nothing was changed. Start it from the volume's stable path (Get-VmVolume {disk.Attachment.Volume}), or connect the machine to the VM that has its disks.", disk.Attachment.Volume);

    /// <summary>The file itself behind links, in the path's folders too.</summary>
    private static string RealPath(string path)
    {
        string full = Path.GetFullPath(path);
        string folder = Path.GetDirectoryName(full) is { } parent ? RealFolder(parent) : "";
        full = Path.Combine(folder, Path.GetFileName(full));
        return File.ResolveLinkTarget(full, returnFinalTarget: true) is { } target ? Path.Combine(RealFolder(Path.GetDirectoryName(target.FullName)!), target.Name) : full;
    }

    private static string RealFolder(string folder)
    {
        if (Path.GetDirectoryName(folder) is not { } parent) return folder;
        folder = Path.Combine(RealFolder(parent), Path.GetFileName(folder));
        return Directory.ResolveLinkTarget(folder, returnFinalTarget: true)?.FullName ?? folder;
    }
}
