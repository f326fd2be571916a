namespace SnapshotTools.IO;

/// <summary>The disk, or the user's quota on it, is full.</summary>
public sealed class DiskFullException(string path)
    : IOException($"There is no space left for '{path}'.")
{
    /// <summary>The file that could not grow.</summary>
    public string Path { get; } = path;
}

/// <summary>A directory, link, FIFO, device or socket stands where a regular file is wanted.</summary>
public sealed class NotARegularFileException(string path, FileKind kind)
    : IOException($"'{path}' is a {kind switch { FileKind.Directory => "directory", FileKind.Link => "symbolic link", _ => "device, FIFO or socket" }}, not a regular file.")
{
    /// <summary>What stands there.</summary>
    public FileKind Kind { get; } = kind;
}
