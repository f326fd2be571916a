using System.Text;

namespace SnapshotTools.Guest;

/// <summary>The loadable modules of a kernel package, and what each needs to be loaded before it.</summary>
internal sealed class KernelModules(string folder)
{
    private readonly Dictionary<string, string> _files = System.IO.Directory
        .EnumerateFiles(folder, "*.ko", SearchOption.AllDirectories)
        .GroupBy(f => NameOf(Path.GetFileNameWithoutExtension(f))).ToDictionary(g => g.Key, g => g.First());

    /// <summary>The files of the modules and of all that they depend on, in the order of loading. What the kernel has built in is left out.</summary>
    public IReadOnlyList<(string Name, byte[] Content)> InOrder(IEnumerable<string> names)
    {
        var order = new List<(string, byte[])>();
        var seen = new HashSet<string>();
        foreach (string name in names) Add(NameOf(name), order, seen);
        return order;
    }

    private void Add(string name, List<(string, byte[])> order, HashSet<string> seen)
    {
        if (!_files.TryGetValue(name, out string? file) || !seen.Add(name)) return;
        byte[] content = File.ReadAllBytes(file);
        foreach (string needed in DependenciesOf(content)) Add(NameOf(needed), order, seen);
        order.Add((name, content));
    }

    // Section .modinfo holds zero-ended lines; one of them is "depends=a,b".
    private static string[] DependenciesOf(byte[] module)
    {
        int start = module.AsSpan().IndexOf("\0depends="u8);
        if (start < 0) return [];
        var line = module.AsSpan(start + "\0depends=".Length);
        return Encoding.ASCII.GetString(line[..line.IndexOf((byte)0)]).Split(',', StringSplitOptions.RemoveEmptyEntries);
    }

    private static string NameOf(string name) => name.Replace('-', '_');
}
