using SnapshotTools.IO;

namespace SnapshotTools.Testing.Files;

/// <summary>
/// Files in memory behind the same contract as the real ones: for tests that want thousands of runs, and for the states
/// that <see cref="CrashModel"/> builds. Paths are absolute with '/'. It keeps what is written, always; what a power cut
/// would leave is the business of <see cref="CrashModel"/>.
/// </summary>
public sealed class MemoryFileSystem : IFileSystem
{
    private const int MaxLinks = 16;

    private readonly MemoryNode _root;

    /// <summary>An empty file system: only "/" is there.</summary>
    public MemoryFileSystem()
        : this(new MemoryNode(FileKind.Directory))
    {
    }

    internal MemoryFileSystem(MemoryNode root) => _root = root;

    /// <summary>Bytes that all files may occupy together; writes beyond it fail with <see cref="DiskFullException"/>.</summary>
    public long Capacity { get; set; } = long.MaxValue;

    internal object Gate { get; } = new();

    /// <summary>A file system with the same files that goes its own way. Locks and open files do not come along.</summary>
    public MemoryFileSystem Copy()
    {
        lock (Gate) return new MemoryFileSystem(_root.Copy()) { Capacity = Capacity };
    }

    /// <summary>Reads a real directory with all below it to <paramref name="path"/>. Holes stay holes, times stay.</summary>
    public static MemoryFileSystem Load(string realDirectory, string path)
    {
        MemoryFileSystem loaded = new();
        CopyTree(SystemFiles.Instance, realDirectory, loaded, path, (source, target) => loaded.Find(target, followLast: false)!.ModifiedAt = source.ModifiedAt);
        return loaded;
    }

    /// <summary>Writes a directory with all below it to a real one.</summary>
    public void Save(string path, string realDirectory) =>
        CopyTree(this, path, SystemFiles.Instance, realDirectory, (source, target) => File.SetLastWriteTimeUtc(target, source.ModifiedAt.UtcDateTime));

    /// <summary>Equal for two file systems with the same names and contents, whatever the times.</summary>
    public string Fingerprint()
    {
        using var hash = System.Security.Cryptography.IncrementalHash.CreateHash(System.Security.Cryptography.HashAlgorithmName.SHA256);
        byte[] buffer = new byte[1 << 16];
        void Add(string path, MemoryNode node)
        {
            hash.AppendData(System.Text.Encoding.UTF8.GetBytes($"{path} {node.Kind} {node.Content.Length} {node.Target}\n"));
            for (var data = node.Content.NextData(0); data is { } range; data = node.Content.NextData(range.Offset + range.Count))
            {
                for (long done = 0; done < range.Count; done += buffer.Length)
                {
                    int n = node.Content.Read(range.Offset + done, buffer.AsSpan(0, (int)Math.Min(buffer.Length, range.Count - done)));
                    hash.AppendData(buffer, 0, n);
                }
                if (range.Offset + range.Count >= node.Content.Length) break;
            }
            foreach (var (name, child) in node.Children) Add($"{path}/{name}", child);
        }
        lock (Gate) Add("", _root);
        return Convert.ToHexString(hash.GetHashAndReset());
    }

    /// <inheritdoc/>
    public IBlockFile Open(string path, FileOpenMode mode)
    {
        lock (Gate)
        {
            bool follow = mode is FileOpenMode.ReadFollowingLinks or FileOpenMode.ReadWriteFollowingLinks;
            MemoryNode node = Find(path, follow) ?? throw NotFound(path);
            if (node.Kind != FileKind.Regular) throw new NotARegularFileException(path, node.Kind);
            bool write = mode is FileOpenMode.ReadWrite or FileOpenMode.ReadWriteFollowingLinks;
            if (write && node.Frozen) throw new IOException($"'{path}' cannot be opened: this user has no permission.");
            return new MemoryFile(this, node, path, write);
        }
    }

    /// <inheritdoc/>
    public IBlockFile Create(string path)
    {
        lock (Gate)
        {
            MemoryNode node = new(FileKind.Regular);
            Add(path, node, "created");
            return new MemoryFile(this, node, path, canWrite: true);
        }
    }

    /// <inheritdoc/>
    public FileStat? Stat(string path)
    {
        lock (Gate) return Find(path, followLast: false) is { } node ? ToStat(path, node) : null;
    }

    /// <inheritdoc/>
    public IEnumerable<FileStat> List(string directory)
    {
        lock (Gate) return [.. Directory(directory, "listed").Children.Select(c => ToStat(Path.Combine(directory, c.Key), c.Value))];
    }

    /// <inheritdoc/>
    public void CreateDirectory(string path)
    {
        lock (Gate)
        {
            if (Find(path, followLast: true) is { } there)
            {
                if (there.Kind != FileKind.Directory) throw new IOException($"'{path}' cannot be created: something else of that name exists already.");
                return;
            }
            CreateDirectory(ParentOf(path));
            Add(path, new MemoryNode(FileKind.Directory), "created");
        }
    }

    /// <inheritdoc/>
    public void Delete(string path)
    {
        lock (Gate)
        {
            MemoryNode node = Find(path, followLast: false) ?? throw NotFound(path);
            if (node.Kind == FileKind.Directory) throw new IOException($"'{path}' cannot be deleted: it is a directory.");
            Directory(ParentOf(path), "deleted").Children.Remove(NameOf(path));
        }
    }

    /// <inheritdoc/>
    public void DeleteDirectory(string path)
    {
        lock (Gate)
        {
            if (Directory(path, "deleted").Children.Count > 0) throw new IOException($"'{path}' cannot be deleted: the directory is not empty.");
            Directory(ParentOf(path), "deleted").Children.Remove(NameOf(path));
        }
    }

    /// <inheritdoc/>
    public void Rename(string path, string newPath)
    {
        lock (Gate)
        {
            MemoryNode node = Find(path, followLast: false) ?? throw NotFound(path);
            MemoryNode target = Directory(ParentOf(newPath), "renamed");
            if (target.Children.TryGetValue(NameOf(newPath), out MemoryNode? there) && there != node && !CanReplace(there, node))
                throw new IOException($"'{path}' cannot be renamed to '{newPath}': something of another kind is there.");
            Directory(ParentOf(path), "renamed").Children.Remove(NameOf(path));
            target.Children[NameOf(newPath)] = node;
        }
    }

    /// <inheritdoc/>
    public void ReplaceLink(string path, string target)
    {
        lock (Gate)
        {
            if (Find(path, followLast: false) is { Kind: not FileKind.Link })
                throw new IOException($"'{path}' cannot be made a link: a file or directory of that name exists already.");
            Directory(ParentOf(path), "made a link").Children[NameOf(path)] = new MemoryNode(FileKind.Link) { Target = target };
        }
    }

    /// <inheritdoc/>
    public string? ReadLink(string path)
    {
        lock (Gate) return Find(path, followLast: false)?.Target;
    }

    /// <inheritdoc/>
    public void SetFrozen(string path, bool frozen)
    {
        lock (Gate)
        {
            MemoryNode node = Find(path, followLast: false) ?? throw NotFound(path);
            if (node.Kind != FileKind.Regular) throw new NotARegularFileException(path, node.Kind);
            node.Frozen = frozen;
        }
    }

    /// <inheritdoc/>
    public void SyncDirectory(string path)
    {
        lock (Gate) Directory(path, "made durable");
    }

    /// <inheritdoc/>
    public long FreeBytes(string path)
    {
        lock (Gate)
        {
            if (Find(path, followLast: true) is null) throw new IOException($"The free space at '{path}' cannot be told: there is no such file or directory.");
            return Capacity - Used(_root);
        }
    }

    internal void RequireRoom(string path, long more)
    {
        if (Capacity != long.MaxValue && Used(_root) + more > Capacity) throw new DiskFullException(path);
    }

    internal static FileStat ToStat(string path, MemoryNode node) => new(
        path,
        node.Kind,
        node.Kind == FileKind.Link ? node.Target!.Length : node.Content.Length,
        node.Content.AllocatedBytes,
        node.ModifiedAt,
        $"memory:{node.Id}");

    /// <summary>Puts a node at a path, with missing parents; for <see cref="CrashModel"/>.</summary>
    internal void Put(string path, MemoryNode node)
    {
        CreateDirectory(ParentOf(path));
        Directory(ParentOf(path), "created").Children[NameOf(path)] = node;
    }

    internal MemoryNode? NodeAt(string path) => Find(path, followLast: false);

    internal static string ParentOf(string path) => Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path))) ?? "/";

    internal static string NameOf(string path) => Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)));

    // A directory replaces an empty directory and nothing else does; anything else replaces anything else.
    private static bool CanReplace(MemoryNode there, MemoryNode node) =>
        (there.Kind == FileKind.Directory) == (node.Kind == FileKind.Directory) && there.Children.Count == 0;

    private static long Used(MemoryNode node) => node.Content.AllocatedBytes + node.Children.Values.Sum(Used);

    private static FileNotFoundException NotFound(string path) => new($"'{path}' cannot be opened: there is no such file or directory.", path);

    private static void CopyTree(IFileSystem from, string source, IFileSystem to, string target, Action<FileStat, string> keepTime)
    {
        to.CreateDirectory(target);
        foreach (FileStat entry in from.List(source))
        {
            string path = Path.Combine(target, Path.GetFileName(entry.Path));
            if (entry.Kind == FileKind.Directory) CopyTree(from, entry.Path, to, path, keepTime);
            else if (entry.Kind == FileKind.Link) to.ReplaceLink(path, from.ReadLink(entry.Path)!);
            else if (entry.Kind == FileKind.Regular)
            {
                CopyFile(from, entry.Path, to, path);
                keepTime(entry, path);
            }
        }
    }

    private static void CopyFile(IFileSystem from, string source, IFileSystem to, string target)
    {
        using IBlockFile a = from.Open(source, FileOpenMode.Read), b = to.Create(target);
        b.SetLength(a.Length);
        byte[] buffer = new byte[1 << 16];
        for (var data = a.NextData(0); data is { } range; data = a.NextData(range.Offset + range.Count))
        {
            for (long done = 0; done < range.Count;)
            {
                int n = a.Read(range.Offset + done, buffer.AsSpan(0, (int)Math.Min(buffer.Length, range.Count - done)));
                if (n == 0) break;
                b.Write(range.Offset + done, buffer.AsSpan(0, n));
                done += n;
            }
        }
    }

    private void Add(string path, MemoryNode node, string cannotBe)
    {
        if (Find(path, followLast: false) is not null) throw new IOException($"'{path}' cannot be {cannotBe}: something of that name exists already.");
        Directory(ParentOf(path), cannotBe).Children[NameOf(path)] = node;
    }

    private MemoryNode Directory(string path, string cannotBe)
    {
        MemoryNode node = Find(path, followLast: true) ?? throw new FileNotFoundException($"'{path}' cannot be {cannotBe}: there is no such file or directory.", path);
        return node.Kind == FileKind.Directory ? node : throw new DirectoryNotFoundException($"'{path}' cannot be {cannotBe}: a part of the path is not a directory.");
    }

    private MemoryNode? Find(string path, bool followLast, int links = 0)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (path.Contains('\0', StringComparison.Ordinal)) throw new IOException($"'{path.Replace("\0", "\\0", StringComparison.Ordinal)}' is not a path: it contains a NUL character.");
        if (links > MaxLinks) throw new IOException($"'{path}' cannot be opened: a symbolic link stands where none is followed.");
        string[] parts = Path.GetFullPath(path).Split('/', StringSplitOptions.RemoveEmptyEntries);
        MemoryNode node = _root;
        for (int i = 0; i < parts.Length; i++)
        {
            if (!node.Children.TryGetValue(parts[i], out MemoryNode? next)) return null;
            if (next.Kind == FileKind.Link && (followLast || i < parts.Length - 1))
            {
                string directory = "/" + string.Join('/', parts[..i]);
                string rest = string.Join('/', parts[(i + 1)..]);
                return Find(Path.Combine(directory, next.Target!, rest), followLast, links + 1);
            }
            node = next;
        }
        return node;
    }
}
