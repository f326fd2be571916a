using SnapshotTools.IO;

namespace SnapshotTools.Testing.Files;

/// <summary>The calls that a fault can be put on.</summary>
public enum FileCall
{
    Open, Create, Stat, List, CreateDirectory, Delete, DeleteDirectory, Rename, ReplaceLink, ReadLink, SetFrozen, SyncDirectory, FreeBytes,
    Read, Write, PunchHole, SetLength, Flush, CopyRange, TryClone, NextData, TryLock,
}

/// <summary>What a failing call says.</summary>
public enum FaultKind
{
    /// <summary>EIO.</summary>
    InputOutput,

    /// <summary>ENOSPC; a write leaves its first half, in whole sectors, behind, as a real one may.</summary>
    NoSpace,

    /// <summary>EROFS.</summary>
    ReadOnly,

    /// <summary>EMFILE.</summary>
    TooManyFiles,

    /// <summary>The process ends here: this call and every later one of any kind throws <see cref="SimulatedKillException"/>.</summary>
    Kill,
}

/// <summary>Stands for the end of the process: code under test must not catch it.</summary>
public sealed class SimulatedKillException() : Exception("The process was killed here.");

/// <summary>
/// Fails chosen calls of another file system. <c>for (int n = 1; ; n++)</c> with a new instance and <see cref="Fail"/> at
/// call n, until <see cref="Fired"/> stays false, tries a fault at every call in turn. A file whose flush failed takes no more writes or flushes, as the contract says.
/// </summary>
public sealed class FaultyFileSystem(IFileSystem inner) : IFileSystem
{
    private readonly Dictionary<FileCall, int> _calls = [];
    private int _all;
    private Func<FileCall, int, int, bool> _matches = (_, _, _) => false;
    private FaultKind _kind;
    private bool _always;

    /// <summary>Is told each call with its path before it is made: for what others do at that moment.</summary>
    public Action<FileCall, string>? Before { get; set; }

    /// <summary>Whether the fault has happened.</summary>
    public bool Fired { get; private set; }

    /// <summary>How many calls of a kind were made so far.</summary>
    public int Calls(FileCall call) => _calls.GetValueOrDefault(call);

    /// <summary>How many calls of any kind were made so far.</summary>
    public int AllCalls => _all;

    /// <summary>Fails the n-th call of a kind from now (1 is the next), once or from there on always.</summary>
    public void Fail(FileCall call, int nth, FaultKind kind, bool always = false)
    {
        int at = Calls(call) + nth;
        Set((c, ofKind, _) => c == call && (ofKind == at || (always && ofKind > at)), kind, always);
    }

    /// <summary>Fails the n-th call of any kind from now (1 is the next), once or from there on always.</summary>
    public void FailAny(int nth, FaultKind kind, bool always = false)
    {
        int at = _all + nth;
        Set((_, _, all) => all == at || (always && all > at), kind, always);
    }

    /// <summary>Takes the fault away.</summary>
    public void Heal() => Set((_, _, _) => false, FaultKind.InputOutput, false);

    /// <inheritdoc/>
    public IBlockFile Open(string path, FileOpenMode mode) => new FaultyFile(this, Checked(FileCall.Open, path, () => inner.Open(path, mode)));

    /// <inheritdoc/>
    public IBlockFile Create(string path) => new FaultyFile(this, Checked(FileCall.Create, path, () => inner.Create(path)));

    /// <inheritdoc/>
    public FileStat? Stat(string path) => Checked(FileCall.Stat, path, () => inner.Stat(path));

    /// <inheritdoc/>
    public IEnumerable<FileStat> List(string directory) => Checked(FileCall.List, directory, () => inner.List(directory));

    /// <inheritdoc/>
    public void CreateDirectory(string path) => Checked(FileCall.CreateDirectory, path, () => inner.CreateDirectory(path));

    /// <inheritdoc/>
    public void Delete(string path) => Checked(FileCall.Delete, path, () => inner.Delete(path));

    /// <inheritdoc/>
    public void DeleteDirectory(string path) => Checked(FileCall.DeleteDirectory, path, () => inner.DeleteDirectory(path));

    /// <inheritdoc/>
    public void Rename(string path, string newPath) => Checked(FileCall.Rename, path, () => inner.Rename(path, newPath));

    /// <inheritdoc/>
    public void ReplaceLink(string path, string target) => Checked(FileCall.ReplaceLink, path, () => inner.ReplaceLink(path, target));

    /// <inheritdoc/>
    public string? ReadLink(string path) => Checked(FileCall.ReadLink, path, () => inner.ReadLink(path));

    /// <inheritdoc/>
    public void SetFrozen(string path, bool frozen) => Checked(FileCall.SetFrozen, path, () => inner.SetFrozen(path, frozen));

    /// <inheritdoc/>
    public void SyncDirectory(string path) => Checked(FileCall.SyncDirectory, path, () => inner.SyncDirectory(path));

    /// <inheritdoc/>
    public long FreeBytes(string path) => Checked(FileCall.FreeBytes, path, () => inner.FreeBytes(path));

    private void Set(Func<FileCall, int, int, bool> matches, FaultKind kind, bool always)
    {
        lock (_calls) (_matches, _kind, _always, Fired) = (matches, kind, always, false);
    }

    /// <summary>Counts a call and returns the exception that it is to throw, or null.</summary>
    private Exception? Count(FileCall call, string path)
    {
        Before?.Invoke(call, path);
        lock (_calls)
        {
            if (Fired && _kind == FaultKind.Kill) return new SimulatedKillException();
            int ofKind = _calls[call] = Calls(call) + 1;
            _all++;
            if ((Fired && !_always) || !_matches(call, ofKind, _all)) return null;
            Fired = true;
            return _kind switch
            {
                FaultKind.NoSpace => new DiskFullException(path),
                FaultKind.ReadOnly => new IOException($"'{path}' cannot be changed: its file system is mounted read-only."),
                FaultKind.TooManyFiles => new IOException($"'{path}' cannot be opened: this process has too many files open (see ulimit -n)."),
                FaultKind.Kill => new SimulatedKillException(),
                _ => new IOException($"'{path}' failed in {call}: the disk reported an I/O error."),
            };
        }
    }

    private void Check(FileCall call, string path)
    {
        if (Count(call, path) is { } failure) throw failure;
    }

    private T Checked<T>(FileCall call, string path, Func<T> run)
    {
        Check(call, path);
        return run();
    }

    private void Checked(FileCall call, string path, Action run)
    {
        Check(call, path);
        run();
    }

    private sealed class FaultyFile(FaultyFileSystem owner, IBlockFile file) : IBlockFile
    {
        private bool _poisoned;

        public string Path => file.Path;
        public bool CanWrite => file.CanWrite;
        public long Length => file.Length;
        public string FileId => file.FileId;

        public int Read(long offset, Span<byte> buffer)
        {
            owner.Check(FileCall.Read, Path);
            return file.Read(offset, buffer);
        }

        public void Write(long offset, ReadOnlySpan<byte> data)
        {
            RequireHealthy();
            if (owner.Count(FileCall.Write, Path) is not { } failure)
            {
                file.Write(offset, data);
                return;
            }
            if (failure is DiskFullException) file.Write(offset, data[..HalfInSectors(offset, data.Length)]);
            throw failure;
        }

        /// <summary>A disk runs full between two of its blocks, never within a sector.</summary>
        private static int HalfInSectors(long offset, int count) => (int)Math.Max(0, ((offset + (count / 2)) & ~511L) - offset);

        public void PunchHole(long offset, long count)
        {
            RequireHealthy();
            owner.Checked(FileCall.PunchHole, Path, () => file.PunchHole(offset, count));
        }

        public void SetLength(long length)
        {
            RequireHealthy();
            owner.Checked(FileCall.SetLength, Path, () => file.SetLength(length));
        }

        public void Flush()
        {
            RequireHealthy();
            if (owner.Count(FileCall.Flush, Path) is { } failure)
            {
                _poisoned = true;
                throw failure;
            }
            file.Flush();
        }

        public void BeginFlush(long offset, long count) => file.BeginFlush(offset, count);

        public void DropFromCache(long offset, long count) => file.DropFromCache(offset, count);

        public long CopyRange(long offset, IBlockFile target, long targetOffset, long count) =>
            owner.Checked(FileCall.CopyRange, Path, () => target is FaultyFile other ? file.CopyRange(offset, other.Unwrapped, targetOffset, count) : 0);

        public bool TryClone(IBlockFile target) =>
            owner.Checked(FileCall.TryClone, Path, () => target is FaultyFile other && file.TryClone(other.Unwrapped));

        public (long Offset, long Count)? NextData(long offset) => owner.Checked(FileCall.NextData, Path, () => file.NextData(offset));

        public bool TryLock(long offset, long count, LockKind kind) => owner.Checked(FileCall.TryLock, Path, () => file.TryLock(offset, count, kind));

        public void Unlock(long offset, long count) => file.Unlock(offset, count);

        public bool IsLockedByOther(long offset, long count, LockKind kind) => file.IsLockedByOther(offset, count, kind);

        public void Dispose() => file.Dispose();

        private IBlockFile Unwrapped => file;

        private void RequireHealthy()
        {
            if (_poisoned) throw new IOException($"'{Path}' takes no more writes, because what was written before may be lost. Open it anew.");
        }
    }
}
