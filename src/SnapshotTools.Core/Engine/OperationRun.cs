using System.Diagnostics;
using System.Globalization;
using SnapshotTools.Core.Catalog;

namespace SnapshotTools.Core.Engine;

/// <summary>
/// One operation while it runs. Its row is written down before it has any effect, and a lock that dies with the process says
/// that somebody is at it; its commit is one transaction. Disposed without a commit, what it made is taken back.
/// </summary>
internal sealed class OperationRun : IDisposable
{
    private readonly EngineContext _context;
    private readonly OperationRow _row;
    private readonly IDisposable _alive;
    private readonly CancellationTokenSource _stop;
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private Exception? _failure;
    private IDisposable? _made;
    private bool _ended;

    private OperationRun(EngineContext context, OperationRow row, IDisposable alive, RunOptions options)
    {
        _context = context;
        _row = row;
        _alive = alive;
        Options = options;
        _stop = CancellationTokenSource.CreateLinkedTokenSource(options.Cancellation);
    }

    /// <summary>Is told each line of every operation's time line first, on the thread that does the work: for tests that let it die there.</summary>
    internal static Action<string>? Observer { get; set; }

    public RunOptions Options { get; }

    /// <summary>Its row in the catalog.</summary>
    public long RowId => _row.Id;

    public CancellationToken Cancellation => _stop.Token;

    /// <summary>Writes the operation down, together with what <paramref name="prepare"/> wants to be known of before it exists.</summary>
    public static OperationRun Begin(EngineContext context, OperationKind kind, string target, RunOptions options, Action<long>? prepare = null)
    {
        IDisposable? alive = null;
        try
        {
            var row = context.Database.Write(() =>
            {
                var begun = context.Catalog.Operations.Begin(kind, target);
                alive = context.Locks.TryAcquire(LockKey.Operation(begun.Id))
                    ?? throw new InvalidOperationException("The lock of a new operation is taken.");
                prepare?.Invoke(begun.Id);
                return begun;
            });
            var run = new OperationRun(context, row, alive!, options);
            run.Log($"{kind} {target}: operation {row.Uid}");
            return run;
        }
        catch
        {
            alive?.Dispose();
            throw;
        }
    }

    /// <summary>A line of the operation's time line.</summary>
    public void Log(string line)
    {
        Observer?.Invoke(line);
        Options.Log?.Invoke(string.Create(CultureInfo.InvariantCulture, $"{_clock.Elapsed.TotalMilliseconds,8:0.0} ms  {line}"));
    }

    /// <summary>The instant of a snapshot: tells who wanted to know of it right before, and right after when the result is disposed.</summary>
    public IDisposable BeginPoint()
    {
        var point = new Point(Options.AfterPoint);
        try
        {
            Options.BeforePoint?.Invoke();
            return point;
        }
        catch
        {
            point.Dispose();
            throw;
        }
    }

    /// <summary>Progress in bytes, told to the caller and, now and then, to the catalog.</summary>
    public IProgress<long> Report(string activity, long total)
    {
        var sinceSaved = Stopwatch.StartNew();
        return new Reporter(done =>
        {
            Options.Progress?.Report(new OperationProgress(activity, done, total));
            if (sinceSaved.ElapsedMilliseconds < 1000) return;
            sinceSaved.Restart();
            SaveProgress(done, total);
        });
    }

    /// <summary>Ends the operation: its effects on the catalog, and its success, in one transaction. All files that it wrote down are kept.</summary>
    public void Commit(Action work)
    {
        _context.Database.Write(() =>
        {
            work();
            _context.Catalog.Pending.DeleteOf(_row.Id);
            _context.Catalog.Operations.End(_row.Id, OperationState.Completed);
        });
        _ended = true;
        Log("committed");
    }

    /// <summary>Locks volumes that the operation has just made, until it is disposed: nobody is to change one before its stable path
    /// leads to it. Part of the transaction, before which nobody knows of them.</summary>
    public void Own(IEnumerable<long> volumeIds) => _made = _context.Locks.Acquire([.. volumeIds.Select(LockKey.Volume)], TimeSpan.Zero,
        _ => new SnapshotException(ErrorIds.SharedVolumeBusy, ErrorKind.Busy, $"A volume of '{_row.Target}' is still held by an operation that was taken back. Nothing was made. Try again.", _row.Target), null, CancellationToken.None);

    /// <summary>Does what follows the commit and can be found out again; what has happened is not undone by its failure.</summary>
    public void Afterwards(Action work)
    {
        try
        {
            work();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or SnapshotException)
        {
            Options.Warn?.Invoke($"'{_row.Target}' is done, but not all that follows it: {error.Message} The rest is done when the store is opened next; until then a stable path may still lead to the layer from before.");
        }
    }

    /// <summary>Notes why the operation ends without a commit.</summary>
    public void Fail(Exception error) => _failure = error;

    /// <inheritdoc/>
    public void Dispose()
    {
        try
        {
            if (_ended) return;
            TakeBack(_context, _row, _failure is OperationCanceledException ? OperationState.Cancelled : OperationState.Failed, _failure?.Message);
        }
        catch (Exception error) when (_failure is not null && error is IOException or UnauthorizedAccessException or SnapshotException)
        {
            // The first failure is the one to tell of. The row stays open, so the next opening of the store takes back the rest.
            Log($"could not take back all: {error.Message}");
        }
        finally
        {
            _made?.Dispose();
            _alive.Dispose();
            _stop.Dispose();
        }
    }

    /// <summary>Takes back what an operation made and did not commit.</summary>
    public static void TakeBack(EngineContext context, OperationRow operation, OperationState state, string? error)
    {
        var pending = Power.LiveHeads.KeepThoseInUse(context, context.Catalog.Pending.Of(operation.Id));
        context.Storage.Delete([.. pending.Select(p => p.File.Location)]);
        context.Database.Write(() =>
        {
            context.Catalog.Pending.DeleteOf(operation.Id);
            if (operation.Kind == OperationKind.Resize) FollowSize(context, operation.Target, isOwn: state != OperationState.Interrupted);
            context.Catalog.Operations.End(operation.Id, state, error);
        });
    }

    /// <summary>The size is in the image first: whatever came of the resizing, the catalog says what the image has.</summary>
    private static void FollowSize(EngineContext context, string volumeName, bool isOwn)
    {
        if (context.Catalog.Volumes.FindByName(volumeName) is not { } volume) return;
        var head = context.Catalog.Layers.Get(volume.HeadId);
        // Who resized it has it reserved; after that one's end something else may have been started from it.
        if (!Power.PoweredMachines.IsInRunningVm(context, volume.Id) && (isOwn || !context.Storage.IsHeld(head.File))) context.Storage.Mend(head.File);
        long size = context.Storage.SizeOf(head.File);
        context.Catalog.Volumes.SetSize(volume.Id, size);
        context.Catalog.Layers.SetSize(head.Id, size);
    }

    private void SaveProgress(long done, long total)
    {
        // The reporter may be called from a worker thread while the connection is idle: the copy is what this thread waits for.
        lock (_context.Database)
        {
            bool isUnwanted = _context.Database.Write(() =>
            {
                _context.Catalog.Operations.SetProgress(_row.Id, done, total);
                return _context.Catalog.Operations.Get(_row.Id).Wanted == OperationWish.Stop;
            }, durable: false);
            if (isUnwanted) _stop.Cancel();
        }
    }

    private sealed class Point(Action? after) : IDisposable
    {
        public void Dispose() => after?.Invoke();
    }

    private sealed class Reporter(Action<long> report) : IProgress<long>
    {
        public void Report(long value) => report(value);
    }
}
