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
    public SnapshotOperation Get(Guid id) => _context.ToModel(Row(id));

    /// <summary>Copies the data of clones in this process, and waits for those that another process works on. Cancelled, they rest.</summary>
    /// <param name="ids">The operations of <see cref="CloneResult.Copies"/>.</param>
    /// <param name="options">Progress and cancellation.</param>
    /// <returns>The operations as they ended, or rest.</returns>
    public IReadOnlyList<SnapshotOperation> Run(IReadOnlyList<Guid> ids, RunOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(ids);
        return ids.Count == 0 ? [] : [.. new CopyRunner(_context, options ?? RunOptions.Default).Run([.. ids.Select(Row)]).Select(_context.ToModel)];
    }

    /// <summary>Waits until an operation has ended, rests or was interrupted, whichever process works on it.</summary>
    /// <param name="id">The operation.</param>
    /// <param name="patience">How long to wait at most.</param>
    /// <param name="options">Progress and cancellation.</param>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.WaitTimedOut"/>.</exception>
    public SnapshotOperation Wait(Guid id, TimeSpan? patience = null, RunOptions? options = null) =>
        _context.ToModel(CopyRunner.Wait(_context, Row(id), options ?? RunOptions.Default, patience));

    /// <summary>Lets a copy rest until it is resumed, whichever process works on it.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.OperationState"/>: it is no copy, or has ended.</exception>
    public PlannedOperation<SnapshotOperation> Suspend(Guid id)
    {
        var row = CopyOf(id, "paused");
        return Planned(row, $"Pause '{row.Kind} {row.Target}'; its clone can be used meanwhile.", [], options => CopyControl.Suspend(_context, row, options));
    }

    /// <summary>Puts a copy that rests, was interrupted or has failed back into the queue, for <see cref="Run"/> or a worker.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.OperationState"/>: it is no copy, or has ended.</exception>
    public PlannedOperation<SnapshotOperation> Resume(Guid id)
    {
        var row = CopyOf(id, "resumed");
        return Planned(row, $"Go on with '{row.Kind} {row.Target}', of which {ByteSize.Format(row.BytesDone)} are done.", [], _ => CopyControl.Resume(_context, row));
    }

    /// <summary>Stops an operation, whichever process works on it. A copy leaves a linked clone or, discarded, nothing; another operation takes itself back.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.OperationState"/>: it cannot be stopped or has ended; or why its clone cannot be discarded.</exception>
    public PlannedOperation<SnapshotOperation> Stop(Guid id, bool discard)
    {
        var row = _context.Database.Read(() => One(id));
        _context.Database.Read(() =>
        {
            CopyControl.RequireStoppable(_context, row, discard);
            return true;
        });
        bool isCopy = row.Kind == OperationKind.Copy;
        return Planned(row, $"Stop '{row.Kind} {row.Target}'{(!isCopy ? ", which takes itself back" : discard ? " and remove the clone" : "; the clone stays linked to its source")}.",
            discard ? [$"volume '{row.Target}'"] : [], options => CopyControl.Stop(_context, row, discard, options));
    }

    /// <summary>Works on the copies of the store that nobody works on, until there was nothing to do for a while. A store has one worker at a time.</summary>
    /// <param name="idle">How long to wait for something to do.</param>
    /// <param name="options">Log and cancellation. Cancelled, what is being copied is left for the next one.</param>
    /// <returns>False when another worker is there already.</returns>
    public bool Work(TimeSpan idle, RunOptions? options = null) => new CopyWorker(_context, options ?? RunOptions.Default).Run(idle);

    /// <summary>Whether a worker is there.</summary>
    public bool IsWorkerRunning() => CopyWorker.IsRunning(_context);

    /// <summary>The operation of an id; or, where it is a volume's, those that copy it and have not ended.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.OperationNotFound"/>: there is none.</exception>
    public IReadOnlyList<SnapshotOperation> Resolve(Guid id) => _context.Database.Read<IReadOnlyList<SnapshotOperation>>(() => [.. Rows(id).Select(_context.ToModel)]);

    private PlannedOperation<SnapshotOperation> Planned(OperationRow row, string summary, IReadOnlyList<string> lost, Func<RunOptions, OperationRow> run) => new(
        new OperationPlan { Kind = row.Kind, Target = row.Target, Summary = summary, Lost = lost, Steps = [new PlanStep(PlanAction.Update, row.Uid.ToString(), "tell whoever works on it")] },
        (_, options) => _context.ToModel(run(options)));

    private OperationRow CopyOf(Guid id, string verb) => _context.Database.Read(() =>
    {
        var row = One(id);
        CopyControl.RequireCopy(_context, row, verb);
        return row;
    });

    private OperationRow One(Guid id) => Rows(id) is [var one] ? one
        : throw new SnapshotException(ErrorIds.OperationState, ErrorKind.Conflict, $"Nothing is being copied into or out of the volume {id}. List the operations: Get-SnapshotOperation", id);

    private List<OperationRow> Rows(Guid id)
    {
        if (_context.Catalog.Operations.FindById(id) is { } row) return [row];
        if (_context.Catalog.Volumes.FindById(id) is { } volume)
            return _context.Catalog.Copies.OfVolume(volume.Id).Where(c => c.VolumeId == volume.Id).Select(c => _context.Catalog.Operations.Get(c.OperationId)).ToList();
        throw new SnapshotException(ErrorIds.OperationNotFound, ErrorKind.NotFound, $"The store '{_context.Store}' has no operation {id}. List those it has: Get-SnapshotOperation", id);
    }

    private OperationRow Row(Guid id) => _context.Catalog.Operations.FindById(id)
        ?? throw new SnapshotException(ErrorIds.OperationNotFound, ErrorKind.NotFound, $"The store '{_context.Store}' has no operation {id}. List those it has: Get-SnapshotOperation", id);
}
