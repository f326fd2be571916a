namespace SnapshotTools.Benchmarks.Harness;

/// <summary>Disks for qemu-img to snapshot, one process for each disk, all at once.</summary>
internal sealed class PeerDisks
{
    private readonly string[] _bases;
    private int _names;

    public PeerDisks(string folder, int disks, long size, Action<Qcow2.Qcow2Image>? fill = null)
    {
        Directory.CreateDirectory(folder);
        _bases = [.. Enumerable.Range(0, disks).Select(i => Images.Create(Path.Combine(folder, $"base{i}.qcow2"), size, fill ?? (image => Images.Spread(image, 1 << 20, 1 << 20))))];
    }

    public void CreateOverlays() => Peer.RunAll("qemu-img", [.. _bases.Select(b => (IReadOnlyList<string>)["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", b, b + ".overlay"])]);

    public void DeleteOverlays()
    {
        foreach (string path in _bases) File.Delete(path + ".overlay");
    }

    public void TakeInternal() => TakeInternal($"s{++_names}");

    public void TakeInternal(string name) => Peer.RunAll("qemu-img", [.. _bases.Select(b => (IReadOnlyList<string>)["snapshot", "-c", name, b])]);

    public void ApplyInternal(string name) => Peer.RunAll("qemu-img", [.. _bases.Select(b => (IReadOnlyList<string>)["snapshot", "-a", name, b])]);
}
