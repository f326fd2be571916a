using SnapshotTools.IO;

namespace SnapshotTools.Testing.Files;

/// <summary>What a name in a <see cref="MemoryFileSystem"/> leads to: the inode.</summary>
internal sealed class MemoryNode(FileKind kind)
{
    private static long _lastId;

    public FileKind Kind { get; } = kind;
    public long Id { get; init; } = Interlocked.Increment(ref _lastId);
    public SparseContent Content { get; set; } = new();
    public string? Target { get; init; }
    public bool Frozen { get; set; }
    public DateTimeOffset ModifiedAt { get; set; } = DateTimeOffset.UtcNow;
    public SortedDictionary<string, MemoryNode> Children { get; } = new(StringComparer.Ordinal);
    public List<(MemoryFile Owner, long Offset, long Count, LockKind Kind)> Locks { get; } = [];

    /// <summary>A copy of this node and of all below, sharing pages, without locks; hard links are not modelled.</summary>
    public MemoryNode Copy()
    {
        MemoryNode copy = new(Kind) { Id = Id, Content = Content.Copy(), Target = Target, Frozen = Frozen, ModifiedAt = ModifiedAt };
        foreach (var (name, child) in Children) copy.Children[name] = child.Copy();
        return copy;
    }
}
