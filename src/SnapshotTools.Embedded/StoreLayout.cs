using SnapshotTools.Core;

namespace SnapshotTools.Embedded;

/// <summary>Where things are in a store's directory.</summary>
internal sealed class StoreLayout(string store)
{
    private const string LayersFolder = "layers";
    private const string VolumesFolder = "volumes";
    private const string MemoryFolder = "memory";
    private const string QuarantineFolder = "quarantine";

    /// <summary>The store's directory, as one name however it was written: what is in the store is told by it.</summary>
    public string Directory { get; } = Path.TrimEndingDirectorySeparator(Path.GetFullPath(store));

    /// <summary>The layers' files, named by their ids.</summary>
    public string Layers => Path.Combine(Directory, LayersFolder);

    /// <summary>The stable paths: links named after the volumes.</summary>
    public string Volumes => Path.Combine(Directory, VolumesFolder);

    /// <summary>Saved memory, and the variables of firmware.</summary>
    public string Memory => Path.Combine(Directory, MemoryFolder);

    /// <summary>Files that a repair took out of the way.</summary>
    public string Quarantine => PathOf(QuarantineFolder);

    /// <summary>The folders of a store.</summary>
    public IReadOnlyList<string> Folders => [Layers, Volumes, Memory];

    /// <summary>The engine's own files.</summary>
    public StoreFiles Files => new(Directory, Path.Combine(Directory, "catalog.sqlite"), Path.Combine(Directory, "locks"));

    public static string LocationOf(Guid layer) => $"{LayersFolder}/{layer:N}.qcow2";

    public static string MemoryLocationOf(Guid id) => $"{MemoryFolder}/{id:N}.memory";

    public string PathOf(string location) => Path.IsPathRooted(location) ? location : Path.Combine(Directory, location);

    public static string LinkLocationOf(string volume) => $"{VolumesFolder}/{volume}.qcow2";

    public static bool IsLinkLocation(string location) => location.StartsWith(VolumesFolder + "/", StringComparison.Ordinal);

    public string LinkOf(string volume) => PathOf(LinkLocationOf(volume));

    /// <summary>How a link, or a layer, names another layer: relative, and by way of the store's directory, so that a program
    /// that opened the link finds the layers below it too.</summary>
    public static string ReferenceTo(LayerFile layer) => layer.External ? layer.Location : "../" + layer.Location;
}
