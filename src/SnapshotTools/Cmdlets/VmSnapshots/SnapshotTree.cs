using SnapshotTools.Core;

namespace SnapshotTools.Cmdlets;

/// <summary>One line of a VM's snapshot tree: a snapshot, or the present.</summary>
public sealed record SnapshotTreeNode
{
    /// <summary>The VM's name.</summary>
    public required string VmName { get; init; }

    /// <summary>The snapshot's name; null for the present.</summary>
    public string? Name { get; init; }

    /// <summary>The store that holds it.</summary>
    public required string Store { get; init; }

    /// <summary>The line as it is shown, with its branches.</summary>
    public required string Tree { get; init; }

    /// <summary>How many ancestors it has.</summary>
    public required int Depth { get; init; }

    /// <summary>Whether it is not a snapshot but the VM as it is now.</summary>
    public bool IsPresent { get; init; }

    /// <summary>Whether it is a volume that is a linked clone of the snapshot above it.</summary>
    public bool IsClone { get; init; }

    /// <summary>The snapshot; null for the present and for clones.</summary>
    public VmSnapshot? Snapshot { get; init; }

    /// <inheritdoc/>
    public override string ToString() => Tree;
}

/// <summary>
/// Draws trees of snapshots. An only child stands right below its parent; only where the history branches are the lines indented, so
/// that a long straight history stays readable.
/// </summary>
internal static class SnapshotTree
{
    /// <summary>What the present is called.</summary>
    public const string Present = "(present)";

    /// <summary>
    /// The lines of one VM, depth first, the older branch first. A snapshot that is not to be shown gives its place to its descendants.
    /// </summary>
    /// <param name="vm">The VM.</param>
    /// <param name="all">All its snapshots.</param>
    /// <param name="shown">The ids of those to show.</param>
    public static IEnumerable<SnapshotTreeNode> Of(VmInstance vm, IReadOnlyCollection<VmSnapshot> all, IReadOnlySet<Guid> shown)
    {
        var byId = all.ToDictionary(s => s.Id);
        Guid NearestShown(Guid? id)
        {
            while (id is { } known && byId.TryGetValue(known, out var snapshot))
            {
                if (shown.Contains(known)) return known;
                id = snapshot.ParentId;
            }
            return Guid.Empty;
        }
        var children = all.Where(s => shown.Contains(s.Id)).OrderBy(s => s.CreatedAt).ToLookup(s => NearestShown(s.ParentId));
        Guid above = NearestShown(all.FirstOrDefault(s => s.IsCurrent)?.Id);
        var open = new Stack<Line>();
        void Push(Guid parent, string prefix, int depth)
        {
            List<VmSnapshot?> level = [.. children[parent]];
            if (parent == above) level.Add(null);
            if (level.Count == 1) open.Push(new Line(level[0], prefix, prefix, depth));
            else
                for (int i = level.Count - 1; i >= 0; i--)
                    open.Push(i == level.Count - 1 ? new Line(level[i], prefix + "└─", prefix + "  ", depth) : new Line(level[i], prefix + "├─", prefix + "│ ", depth));
        }
        Push(Guid.Empty, "", 0);
        while (open.TryPop(out var line))
        {
            yield return new SnapshotTreeNode
            {
                VmName = vm.Name,
                Name = line.Snapshot?.Name,
                Store = vm.Store,
                Tree = line.Branch + (line.Snapshot is null ? "○ " + Present : "● " + line.Snapshot.Name),
                Depth = line.Depth,
                IsPresent = line.Snapshot is null,
                Snapshot = line.Snapshot,
            };
            foreach (string clone in line.Snapshot?.LinkedClones ?? [])
            {
                yield return new SnapshotTreeNode { VmName = vm.Name, Store = vm.Store, Tree = $"{line.Below}⤷ {clone} (linked clone)", Depth = line.Depth + 1, IsClone = true };
            }
            if (line.Snapshot is { } parent) Push(parent.Id, line.Below, line.Depth + 1);
        }
    }

    /// <summary>A line to be drawn.</summary>
    /// <param name="Snapshot">The snapshot; null for the present.</param>
    /// <param name="Branch">What stands before it.</param>
    /// <param name="Below">What stands before its descendants.</param>
    /// <param name="Depth">How many ancestors it has.</param>
    private sealed record Line(VmSnapshot? Snapshot, string Branch, string Below, int Depth);
}
