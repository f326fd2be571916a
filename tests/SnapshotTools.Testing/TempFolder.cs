namespace SnapshotTools.Testing;

/// <summary>A folder of its own for one test, deleted with it.</summary>
public sealed class TempFolder : IDisposable
{
    /// <summary>Makes the folder.</summary>
    public TempFolder() => Path = Directory.CreateTempSubdirectory("snapshottools-test-").FullName;

    private TempFolder(string path) => Path = Directory.CreateDirectory(path).FullName;

    /// <summary>A folder in memory, where the machine has such a place: for tests that build thousands of files and wait for none of them.</summary>
    public static TempFolder InMemory() =>
        Directory.Exists("/dev/shm") ? new TempFolder($"/dev/shm/snapshottools-test-{Guid.NewGuid():N}") : new TempFolder();

    /// <summary>Where it is.</summary>
    public string Path { get; }

    /// <summary>The path of a file in it.</summary>
    public string File(string name) => System.IO.Path.Combine(Path, name);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Directory.Exists(Path)) Directory.Delete(Path, recursive: true);
    }
}
