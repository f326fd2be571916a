namespace SnapshotTools.IO;

/// <summary>
/// The link that stands for an instant beside the one that <see cref="IFileSystem.ReplaceLink"/> replaces. A process
/// killed at that instant leaves it behind; whoever settles a directory deletes what <see cref="IsOne"/> recognizes.
/// </summary>
public static class TemporaryLink
{
    private const string Suffix = ".newlink";

    /// <summary>A new name beside <paramref name="path"/>.</summary>
    public static string NameFor(string path)
    {
        string name = $".{Path.GetFileName(path)}.{Guid.NewGuid():N}{Suffix}";
        return Path.GetDirectoryName(path) is { Length: > 0 } directory ? Path.Combine(directory, name) : name;
    }

    /// <summary>Whether a path has such a name.</summary>
    public static bool IsOne(string path)
    {
        string name = Path.GetFileName(path);
        return name.StartsWith('.') && name.EndsWith(Suffix, StringComparison.Ordinal);
    }
}
