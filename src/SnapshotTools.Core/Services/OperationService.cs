using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine;
using SnapshotTools.Core.Engine.Clones;

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

    /// <summary>The operation of an id.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.OperationNotFound"/>.</exception>
    public SnapshotOperation Get(Guid id) => _context.ToModel(Resolve(id));

    /// <summary>Copies the data of clones in this process, and waits for those that another process works on. Cancelled, they rest.</summary>
    /// <param name="ids">The operations of <see cref="CloneResult.Copies"/>.</param>
    /// <param name="options">Progress and cancellation.</param>
    /// <returns>The operations as they ended, or rest.</returns>
    public IReadOnlyList<SnapshotOperation> Run(IReadOnlyList<Guid> ids, RunOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(ids);
        return ids.Count == 0 ? [] : [.. new CopyRunner(_context, options ?? RunOptions.Default).Run([.. ids.Select(Resolve)]).Select(_context.ToModel)];
    }

    /// <summary>Waits until an operation has ended, rests or was interrupted, whichever process works on it.</summary>
    public SnapshotOperation Wait(Guid id, RunOptions? options = null) => _context.ToModel(CopyRunner.Wait(_context, Resolve(id), options ?? RunOptions.Default));

    /// <summary>Lets a copy rest until it is resumed, whichever process works on it.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.OperationState"/>: it is no copy, or has ended.</exception>
    public SnapshotOperation Suspend(Guid id, RunOptions? options = null) => _context.ToModel(CopyControl.Suspend(_context, Resolve(id), options ?? RunOptions.Default));

    /// <summary>Puts a copy that rests, was interrupted or has failed back into the queue, for <see cref="Run"/> or a worker.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.OperationState"/>: it is no copy, or has ended.</exception>
    public SnapshotOperation Resume(Guid id) => _context.ToModel(CopyControl.Resume(_context, Resolve(id)));

    /// <summary>Stops an operation, whichever process works on it. A copy leaves a linked clone or, discarded, nothing; another operation takes itself back.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.OperationState"/>: it cannot be stopped or has ended; or why its clone cannot be discarded.</exception>
    public SnapshotOperation Stop(Guid id, bool discard, RunOptions? options = null) => _context.ToModel(CopyControl.Stop(_context, Resolve(id), discard, options ?? RunOptions.Default));

    private OperationRow Resolve(Guid id) => _context.Catalog.Operations.FindById(id)
        ?? throw new SnapshotException(ErrorIds.OperationNotFound, ErrorKind.NotFound, $"The store '{_context.Store}' has no operation {id}. List those it has: Get-SnapshotOperation", id);
}
