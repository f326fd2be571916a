using System.Diagnostics;
using SnapshotTools.Core.Catalog;
using SnapshotTools.Core.Engine.Power;
using SnapshotTools.IO;

namespace SnapshotTools.Core.Engine.Clones;

/// <summary>
/// Copies the data of one clone behind it. The copy grows in a file of its own, which takes the place of the clone's base when
/// it is complete: until then the clone reads its source's layer and is not touched, whoever uses it. Killed at any moment, it
/// goes on from the last durable offset.
/// </summary>
internal sealed class VolumeCopy
{
    private const long CheckpointBytes = 64L << 20;
    private const long SmallestStep = 64 << 10;
    private static readonly TimeSpan CollectPatience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LockPatience = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(200);

    private readonly EngineContext _context;
    private readonly OperationRow _operation;
    private readonly CopyRow _copy;
    private readonly VolumeRow _volume;
    private readonly RunOptions _options;
    private readonly CancellationTokenSource _stop;
    private readonly Stopwatch _sincePoll = Stopwatch.StartNew();
    private readonly RateMeter _rate = new();
    private OperationWish _wish;
    private LayerCopyProgress _latest;
    private long _before = -1;
    private LayerRow? _untold;

    private VolumeCopy(EngineContext context, OperationRow operation, CopyRow copy, RunOptions options)
    {
        (_context, _operation, _copy, _options) = (context, operation, copy, options);
        _volume = context.Catalog.Volumes.Get(copy.VolumeId);
        _stop = CancellationTokenSource.CreateLinkedTokenSource(options.Cancellation);
    }

    private StoreCatalog Catalog => _context.Catalog;

    private OperationState WhenCancelled { get; init; }

    /// <summary>Works on a copy until it is complete, paused, stopped or has failed; gives its state then.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.OperationState"/>: there is nothing to do, or another process works on it; or why it failed.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled, and is <paramref name="whenCancelled"/>.</exception>
    public static OperationRow Run(EngineContext context, OperationRow operation, RunOptions options, OperationState whenCancelled = OperationState.Paused)
    {
        // Others take the lock for a moment to see whether its owner is alive.
        using var mine = context.Locks.Acquire([LockKey.Operation(operation.Id)], LockPatience, _ => IsWorkedOn(context, operation), null, options.Cancellation);
        operation = context.Catalog.Operations.Get(operation.Id);
        if (context.Catalog.Copies.Find(operation.Id) is not { } copy) return operation;
        if (!Begin(context, operation.Id)) return context.Catalog.Operations.Get(operation.Id);
        var work = new VolumeCopy(context, operation, copy, options) { WhenCancelled = whenCancelled };
        using (work._stop) work.Run();
        return context.Catalog.Operations.Get(operation.Id);
    }

    private static SnapshotException IsWorkedOn(EngineContext context, OperationRow operation) => new(ErrorIds.OperationState, ErrorKind.Busy,
        $"Operation '{operation.Kind} {operation.Target}' is worked on by process {context.Catalog.Operations.Get(operation.Id).ProcessId}. Wait for it: Wait-SnapshotOperation {operation.Uid}", operation.Uid);

    /// <summary>Says of a copy whose process is dead that it was interrupted, or, where only that was missing, that it is done. Its lock is held.</summary>
    public static void Settle(EngineContext context, OperationRow operation, CopyRow copy)
    {
        var work = new VolumeCopy(context, operation, copy, RunOptions.Default);
        using (work._stop)
        {
            if (context.Storage.Measure(work.Layer.File) is not null && work.IsInPlace()) work.Complete();
            else context.Database.Write(() => context.Catalog.Operations.SetWaiting(operation.Id, OperationState.Interrupted, $"Process {operation.ProcessId} ended before the operation did."));
        }
    }

    /// <summary>Makes it run, unless it was paused or stopped in the same moment.</summary>
    private static bool Begin(EngineContext context, long operationId) => context.Database.Write(() =>
    {
        if (context.Catalog.Operations.Get(operationId).State is not (OperationState.Pending or OperationState.Interrupted or OperationState.Running)) return false;
        context.Catalog.Operations.SetRunning(operationId);
        return true;
    });

    private void Run()
    {
        _options.Log?.Invoke($"{_operation.Kind} {_operation.Target}: operation {_operation.Uid}");
        try
        {
            if (!IsInPlace())
            {
                Copy();
                PutInPlace();
            }
            else Complete();
        }
        catch (OperationCanceledException) when (_wish is OperationWish.Stop or OperationWish.Discard)
        {
            CopyControl.Abandon(_context, _operation, _copy, _wish == OperationWish.Discard, _options);
            return;
        }
        catch (OperationCanceledException)
        {
            _context.Database.Write(() =>
            {
                if (_before >= 0) SaveProgress();
                Catalog.Operations.SetWaiting(_operation.Id, _wish == OperationWish.Pause ? OperationState.Paused : WhenCancelled);
            });
            if (_wish == OperationWish.None) throw;
            return;
        }
        catch (Exception error)
        {
            var failure = Explain(error);
            _context.Database.Write(() => Catalog.Operations.End(_operation.Id, OperationState.Failed, failure.Message));
            throw failure;
        }
        Collect();
    }

    private Exception Explain(Exception error)
    {
        string goOn = $"The clone can be used as it is, and needs its source. When the cause is gone, go on: Resume-SnapshotOperation {_operation.Uid}; or leave it linked: Stop-SnapshotOperation {_operation.Uid}";
        return error switch
        {
            DiskFullException => new SnapshotException(ErrorIds.NotEnoughSpace, ErrorKind.NoSpace, $"The disk became full while volume '{_volume.Name}' was copied: {error.Message} {goOn}", _volume.Name, cause: error),
            IOException or UnauthorizedAccessException => new SnapshotException(ErrorIds.StoreIoFailed, ErrorKind.Failed, $"Copying volume '{_volume.Name}' failed: {error.Message} {goOn}", _volume.Name, cause: error),
            _ => error,
        };
    }

    private LayerRow Layer => Catalog.Layers.Get(_copy.LayerId);

    private bool IsInPlace() => _context.Storage.StandsAlone(Layer.File);

    private NewLayer Target()
    {
        var layer = Layer;
        return new NewLayer(layer.File with { Location = _copy.Location }, null, layer.Size, _volume.ClusterSize, _context.NewIdentity(layer.Uid, _volume.Uid, _volume.Name, null, null));
    }

    private void Copy()
    {
        long from = _copy.CopiedTo;
        var layer = Layer;
        _context.RequireSpace(Math.Max(0, _operation.BytesTotal - _operation.BytesDone), $"Copying volume '{_volume.Name}'");
        var options = _copy.MaxRate is { } rate
            ? new LayerCopyOptions(from, Math.Clamp(rate / 4, SmallestStep, CheckpointBytes), Math.Clamp(rate / 8, SmallestStep, CheckpointBytes))
            : new LayerCopyOptions(from, CheckpointBytes);
        _context.Storage.CopyLayer(layer.File, Target(), options, new Reporter(Report), _stop.Token);
    }

    private void Report(LayerCopyProgress progress)
    {
        // What was copied before counts as done: the total is that of the whole copy.
        if (_before < 0) _before = _copy.CopiedTo == 0 ? 0 : Math.Max(0, _operation.BytesTotal - progress.TotalBytes);
        long news = Math.Max(0, progress.DoneBytes - _latest.DoneBytes);
        _latest = progress;
        _rate.Add(progress.DoneBytes);
        if (_copy.MaxRate is { } rate) Slow(CopyThrottle.Of(_context.Store, _copy.Batch).Take(news, rate));
        Poll();
    }

    /// <summary>Stands still, and does not miss what it is asked meanwhile.</summary>
    private void Slow(TimeSpan time)
    {
        long end = Stopwatch.GetTimestamp() + (long)(time.TotalSeconds * Stopwatch.Frequency);
        while (!_stop.IsCancellationRequested)
        {
            Poll();
            var left = TimeSpan.FromSeconds((double)(end - Stopwatch.GetTimestamp()) / Stopwatch.Frequency);
            if (left <= TimeSpan.Zero) return;
            _stop.Token.WaitHandle.WaitOne(left < PollInterval ? left : PollInterval);
        }
    }

    /// <summary>Tells the catalog how far it is, and looks there whether somebody wants it to stop. On a copying thread, while the others wait.</summary>
    private void Poll()
    {
        _options.Progress?.Report(new OperationProgress($"Copying volume '{_volume.Name}'", Done, Total));
        if (_sincePoll.Elapsed < PollInterval) return;
        _sincePoll.Restart();
        _context.Database.Write(() =>
        {
            SaveProgress();
            _wish = Catalog.Operations.Get(_operation.Id).Wanted;
        }, durable: false);
        if (_wish != OperationWish.None) _stop.Cancel();
    }

    private long Done => _before + _latest.DoneBytes;

    private long Total => _before + Math.Max(_latest.DoneBytes, _latest.TotalBytes);

    private void SaveProgress()
    {
        Catalog.Operations.SetProgress(_operation.Id, Done, Total, _rate.BytesPerSecond);
        Catalog.Copies.SetCopiedTo(_operation.Id, _latest.DurableTo);
    }

    /// <summary>The copy takes the layer's place. The volume is ours for that moment, so that nobody builds on what the layer was.</summary>
    private void PutInPlace()
    {
        using var mine = _context.Locks.Acquire([LockKey.Volume(_volume.Id)], TimeSpan.MaxValue, _ => throw new InvalidOperationException(), null, _stop.Token);
        var layer = Layer;
        _context.Storage.PutInPlace(Target().File, layer.File);
        Complete();
    }

    /// <summary>The clone owns all of its data; its source is let go, by the machines that run on the clone first.</summary>
    private void Complete()
    {
        var layer = Layer;
        _context.Storage.SetFrozen(layer.File, true);
        bool isTold = TellMachines(layer);
        var facts = LayerFiles.Measure(_context.Storage, layer);
        _context.Database.Write(() =>
        {
            long total = Catalog.Operations.Get(_operation.Id).BytesTotal;
            Catalog.Layers.SetParent(layer.Id, null);
            Catalog.Layers.SetFacts(layer.Id, facts);
            Catalog.Operations.SetProgress(_operation.Id, total, total);
            Catalog.Copies.Delete(_operation.Id);
            Catalog.Operations.End(_operation.Id, OperationState.Completed);
        });
        _options.Log?.Invoke($"volume '{_volume.Name}' owns all of its data");
        if (!isTold) _untold = layer;
    }

    private bool TellMachines(LayerRow layer) => VolumesOn(layer).ToList().ConvertAll(id => _context.TakeReplacement(id, layer, _options.Log)).TrueForAll(t => t);

    /// <summary>The volumes whose chains have a layer: the clone, and those that were cloned from it.</summary>
    private HashSet<long> VolumesOn(LayerRow layer)
    {
        var (volumes, layers) = (new HashSet<long>(), new Queue<LayerRow>([layer]));
        while (layers.TryDequeue(out var one))
        {
            if (one.VolumeId is { } id) volumes.Add(id);
            foreach (var child in Catalog.Layers.Children(one.Id)) layers.Enqueue(child);
        }
        return volumes;
    }

    /// <summary>The source's frozen layer goes if nobody else needs it, and the clone's two layers become one. What is busy is left for later,
    /// and so is the layer of a clone that runs: under a guest it could only be merged by copying all of its data once more.</summary>
    private void Collect()
    {
        try
        {
            var patience = Stopwatch.StartNew();
            while (_untold is { } layer && patience.Elapsed < CollectPatience && !_options.Cancellation.WaitHandle.WaitOne(PollInterval))
                if (TellMachines(layer)) _untold = null;
            foreach (long id in _context.IsInRunningVm(_copy.VolumeId) ? [_copy.SourceId] : new[] { _copy.SourceId, _copy.VolumeId })
            {
                using var mine = _context.Locks.Acquire([LockKey.Volume(id)], CollectPatience, _ => IsWorkedOn(_context, _operation), null, _options.Cancellation);
                new Collecting(_context).RunAfter(_operation.Target, [id], _options with { Warn = _options.Log });
            }
        }
        catch (Exception error) when (error is IOException or SnapshotException or OperationCanceledException)
        {
            _options.Log?.Invoke($"what is not needed any more goes later: {error.Message}");
        }
    }

    private sealed class Reporter(Action<LayerCopyProgress> report) : IProgress<LayerCopyProgress>
    {
        public void Report(LayerCopyProgress value) => report(value);
    }

    /// <summary>Bytes a second over the last few seconds.</summary>
    private sealed class RateMeter
    {
        private static readonly TimeSpan Window = TimeSpan.FromSeconds(5);
        private readonly Queue<(long Time, long Bytes)> _samples = [];

        public long BytesPerSecond { get; private set; }

        public void Add(long bytes)
        {
            long now = Stopwatch.GetTimestamp();
            _samples.Enqueue((now, bytes));
            while (_samples.Count > 2 && Stopwatch.GetElapsedTime(_samples.Peek().Time, now) > Window) _samples.Dequeue();
            var (time, first) = _samples.Peek();
            double seconds = Stopwatch.GetElapsedTime(time, now).TotalSeconds;
            if (seconds > 0.1) BytesPerSecond = (long)((bytes - first) / seconds);
        }
    }
}
