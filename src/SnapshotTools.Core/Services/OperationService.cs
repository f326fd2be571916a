using SnapshotTools.Core.Engine;

namespace SnapshotTools.Core;

/// <summary>Operations of a store.</summary>
public sealed class OperationService
{
    private readonly EngineContext _context;

    internal OperationService(EngineContext context) => _context = context;

    /// <summary>The operations of these ids, or all that are remembered, in the order in which they were begun.</summary>
    public IReadOnlyList<SnapshotOperation> Find(params IReadOnlyList<Guid> ids) => _context.Database.Read<IReadOnlyList<SnapshotOperation>>(() =>
    {
        ArgumentNullException.ThrowIfNull(ids);
        return [.. _context.Catalog.Operations.All().Where(o => ids.Count == 0 || ids.Contains(o.Uid)).Select(_context.ToModel)];
    });
}
