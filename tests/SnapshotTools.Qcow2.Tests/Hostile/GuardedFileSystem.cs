using SnapshotTools.IO;

namespace SnapshotTools.Qcow2.Tests.Hostile;

/// <summary>Lets only named files be touched, and notes every attempt at another.</summary>
public sealed class GuardedFileSystem(IFileSystem inner, params string[] allowed) : IFileSystem
{
    private readonly List<string> _attempts = [];

    /// <summary>Paths that were asked for and are not among the allowed ones.</summary>
    public IReadOnlyList<string> Attempts => _attempts;

    public IBlockFile Open(string path, FileOpenMode mode) => Guard(path).Open(path, mode);

    public IBlockFile Create(string path) => Guard(path).Create(path);

    public FileStat? Stat(string path) => Guard(path).Stat(path);

    public IEnumerable<FileStat> List(string directory) => Guard(directory).List(directory);

    public void CreateDirectory(string path) => Guard(path).CreateDirectory(path);

    public void Delete(string path) => Guard(path).Delete(path);

    public void DeleteDirectory(string path) => Guard(path).DeleteDirectory(path);

    public void Rename(string path, string newPath)
    {
        Guard(newPath);
        Guard(path).Rename(path, newPath);
    }

    public void ReplaceLink(string path, string target) => Guard(path).ReplaceLink(path, target);

    public string? ReadLink(string path) => Guard(path).ReadLink(path);

    public void SetFrozen(string path, bool frozen) => Guard(path).SetFrozen(path, frozen);

    public void SyncDirectory(string path) => Guard(path).SyncDirectory(path);

    public long FreeBytes(string path) => Guard(path).FreeBytes(path);

    private IFileSystem Guard(string path)
    {
        // A name that ends with a slash allows all that is below it.
        if (!allowed.Any(a => a == path || (a.EndsWith('/') && (path + "/").StartsWith(a, StringComparison.Ordinal) && !path.Contains("..", StringComparison.Ordinal))))
            lock (_attempts) _attempts.Add(path);
        return inner;
    }
}
