using System.Diagnostics;
using SnapshotTools.IO;

namespace SnapshotTools.Core.Engine;

/// <summary>
/// Locks between operations, across processes: byte ranges of one file, one byte for each VM, volume and operation. They
/// belong to an open file, so that they are free the moment their owner is gone, however it went.
/// </summary>
internal sealed class StoreLocks
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(20);

    private readonly IFileSystem _files;
    private readonly string _path;

    private StoreLocks(IFileSystem files, string path) => (_files, _path) = (files, path);

    /// <summary>The locks of a store, whose file is made when it is not there. It is never deleted: who has it open would hold locks that nobody else sees.</summary>
    public static StoreLocks Open(IFileSystem files, string path)
    {
        try
        {
            if (files.Stat(path) is null) files.Create(path).Dispose();
        }
        catch (IOException) when (files.Stat(path) is not null)
        {
            // Another process was first.
        }
        return new StoreLocks(files, path);
    }

    /// <summary>Takes all of the keys or none.</summary>
    /// <param name="keys">What to lock.</param>
    /// <param name="wait">How long to wait for others.</param>
    /// <param name="busy">Makes the error for a key that stayed taken.</param>
    /// <param name="waiting">Is told once when there is something to wait for.</param>
    /// <param name="cancellation">Ends the wait.</param>
    public IDisposable Acquire(IReadOnlyCollection<LockKey> keys, TimeSpan wait, Func<LockKey, SnapshotException> busy, Action<LockKey>? waiting, CancellationToken cancellation)
    {
        var clock = Stopwatch.StartNew();
        var ordered = keys.Distinct().OrderBy(k => k.Offset).ToList();
        bool told = false;
        while (true)
        {
            cancellation.ThrowIfCancellationRequested();
            var file = _files.Open(_path, FileOpenMode.ReadWrite);
            LockKey? taken = null;
            bool isMine = false;
            try
            {
                taken = ordered.Find(key => !file.TryLock(key.Offset, 1, LockKind.Exclusive));
                isMine = taken is null;
            }
            finally
            {
                if (!isMine) file.Dispose();   // and what it locked already
            }
            if (isMine) return file;
            if (clock.Elapsed >= wait) throw busy(taken!);
            if (!told) waiting?.Invoke(taken!);
            told = true;
            cancellation.WaitHandle.WaitOne(PollInterval);
        }
    }

    /// <summary>Takes one key if it is free; null when it is not.</summary>
    public IDisposable? TryAcquire(LockKey key, LockKind kind = LockKind.Exclusive)
    {
        var file = _files.Open(_path, FileOpenMode.ReadWrite);
        bool isMine = false;
        try
        {
            isMine = file.TryLock(key.Offset, 1, kind);
        }
        finally
        {
            if (!isMine) file.Dispose();
        }
        return isMine ? file : null;
    }
}

/// <summary>What can be locked.</summary>
internal sealed record LockKey(LockKey.Kinds Kind, long Id)
{
    public enum Kinds
    {
        Store,
        Vm,
        Volume,
        Operation,
        Users,
        Ledger,
    }

    /// <summary>The byte of the lock file that stands for it.</summary>
    public long Offset => ((long)Kind << 40) + Id;

    // The general comparison of an enumeration is compiled by each young process anew.
    public bool Equals(LockKey? other) => other is not null && other.Offset == Offset;

    public override int GetHashCode() => Offset.GetHashCode();

    public static LockKey Store { get; } = new(Kinds.Store, 0);

    /// <summary>Held by the store's worker process.</summary>
    public static LockKey Worker { get; } = new(Kinds.Store, 1);

    /// <summary>Shared by all that have the store open; exclusive for who puts another catalog into its place.</summary>
    public static LockKey Users { get; } = new(Kinds.Users, 0);

    /// <summary>Who adds to the ledger.</summary>
    public static LockKey Ledger { get; } = new(Kinds.Ledger, 0);

    public static LockKey Vm(long id) => new(Kinds.Vm, id);

    public static LockKey Volume(long id) => new(Kinds.Volume, id);

    public static LockKey Operation(long id) => new(Kinds.Operation, id);
}
