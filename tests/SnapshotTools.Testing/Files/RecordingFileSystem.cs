using SnapshotTools.IO;

namespace SnapshotTools.Testing.Files;

/// <summary>
/// Writes down every effect on files, in order, over a real or an in-memory file system. What fails is not written down.
/// Effects of several threads are put one after the other. With the files as they were before, the list is what
/// <see cref="CrashModel"/> needs.
/// </summary>
public sealed class RecordingFileSystem(IFileSystem inner) : IFileSystem
{
    private readonly List<FileEffect> _effects = [];
    private readonly Dictionary<string, int> _numbers = [];
    private readonly Dictionary<string, byte[]?> _watched = [];
    private readonly Dictionary<string, (int Number, byte[] Content)> _noted = [];
    private readonly Dictionary<int, DateTimeOffset> _times = [];
    private int _lastNumber;

    /// <summary>What was done so far.</summary>
    public IReadOnlyList<FileEffect> Effects
    {
        get
        {
            lock (_effects)
            {
                LookAtWatched();
                return [.. _effects];
            }
        }
    }

    /// <summary>Watches a file that somebody writes past this seam, such as a database with its journal: when its content has
    /// changed at the next effect, that is written down as one durable step. It trusts the other's own crash safety.</summary>
    public void Watch(string path)
    {
        lock (_effects) _watched[path] = ContentOf(path);
    }

    /// <summary>Writes down what a database did to one of its files past this seam: the bytes that it changed, and, if it waited for the
    /// disk, that they are durable with the file's name. Unlike <see cref="Watch"/> this lets the model tear what was not waited for.</summary>
    public void Note(string path, bool durable)
    {
        lock (_effects)
        {
            if (ContentOf(path) is not { } now) return;
            if (!_noted.TryGetValue(path, out var known))
            {
                known = (++_lastNumber, []);
                Add(new FileEffect.Created(path, known.Number));
            }
            byte[] before = known.Content;
            int from = before.AsSpan().CommonPrefixLength(now);
            if (now.Length < before.Length) Add(new FileEffect.LengthSet(known.Number, now.Length));
            if (from < now.Length) Add(new FileEffect.Written(known.Number, from, now[from..]));
            if (durable) Add(new FileEffect.Flushed(known.Number));
            if (durable) Add(new FileEffect.DirectorySynced(MemoryFileSystem.ParentOf(path)));
            _noted[path] = (known.Number, now);
        }
    }

    /// <summary>Takes a file as it is for what <see cref="Note"/> will compare with.</summary>
    public void Know(string path)
    {
        lock (_effects)
        {
            if (ContentOf(path) is not { } content) return;
            _noted[path] = (++_lastNumber, content);
            Add(new FileEffect.Opened(path, _lastNumber));
        }
    }

    /// <inheritdoc/>
    public IBlockFile Open(string path, FileOpenMode mode)
    {
        lock (_effects)
        {
            IBlockFile file = inner.Open(path, mode);
            if (!_numbers.TryGetValue(file.FileId, out int number))
            {
                _numbers[file.FileId] = number = ++_lastNumber;
                Add(new FileEffect.Opened(path, number));
            }
            return new RecordingFile(this, file, number);
        }
    }

    /// <inheritdoc/>
    public IBlockFile Create(string path)
    {
        lock (_effects)
        {
            LookAtWatched();
            IBlockFile file = inner.Create(path);
            _numbers[file.FileId] = ++_lastNumber;
            Add(new FileEffect.Created(path, _lastNumber));
            return new RecordingFile(this, file, _lastNumber);
        }
    }

    /// <inheritdoc/>
    public FileStat? Stat(string path) => inner.Stat(path);

    /// <inheritdoc/>
    public IEnumerable<FileStat> List(string directory) => inner.List(directory);

    /// <inheritdoc/>
    public void CreateDirectory(string path)
    {
        lock (_effects)
        {
            // The contract makes missing parents too; each is an effect of its own.
            if (MemoryFileSystem.ParentOf(path) is var parent && inner.Stat(parent) is null) CreateDirectory(parent);
            if (inner.Stat(path) is null) Do(() => inner.CreateDirectory(path), new FileEffect.DirectoryCreated(path));
            else inner.CreateDirectory(path);
        }
    }

    /// <inheritdoc/>
    public void Delete(string path) => Do(() => inner.Delete(path), new FileEffect.Deleted(path));

    /// <inheritdoc/>
    public void DeleteDirectory(string path) => Do(() => inner.DeleteDirectory(path), new FileEffect.DirectoryDeleted(path));

    /// <inheritdoc/>
    public void Rename(string path, string newPath) => Do(() => inner.Rename(path, newPath), new FileEffect.Renamed(path, newPath));

    /// <inheritdoc/>
    public void ReplaceLink(string path, string target) => Do(() => inner.ReplaceLink(path, target), new FileEffect.LinkReplaced(path, target));

    /// <inheritdoc/>
    public string? ReadLink(string path) => inner.ReadLink(path);

    /// <inheritdoc/>
    public void SetFrozen(string path, bool frozen) => Do(() => inner.SetFrozen(path, frozen), new FileEffect.FrozenSet(path, frozen));

    /// <inheritdoc/>
    public void SyncDirectory(string path) => Do(() => inner.SyncDirectory(path), new FileEffect.DirectorySynced(path));

    /// <inheritdoc/>
    public long FreeBytes(string path) => inner.FreeBytes(path);

    private void Do(Action effect, FileEffect record)
    {
        lock (_effects)
        {
            LookAtWatched();
            effect();
            Add(record);
        }
    }

    private void Add(FileEffect effect) => _effects.Add(effect);

    private void NoteTime(IBlockFile file, int number)
    {
        if (inner.Stat(file.Path) is not { } stat || stat.FileId != file.FileId) return;   // it has another name by now
        if (_times.TryGetValue(number, out var known) && known == stat.ModifiedAt) return;
        _times[number] = stat.ModifiedAt;
        Add(new FileEffect.TimeSet(number, stat.ModifiedAt));
    }

    private void LookAtWatched()
    {
        foreach (string path in _watched.Keys.ToList())
        {
            byte[]? now = ContentOf(path), before = _watched[path];
            if (now is null ? before is null : before is not null && now.AsSpan().SequenceEqual(before)) continue;
            _watched[path] = now;
            Add(new FileEffect.ChangedByOthers(path, now));
        }
    }

    private byte[]? ContentOf(string path)
    {
        if (inner.Stat(path) is null) return null;
        using IBlockFile file = inner.Open(path, FileOpenMode.Read);
        byte[] content = new byte[file.Length];
        return content[..file.Read(0, content)];
    }

    private sealed class RecordingFile(RecordingFileSystem owner, IBlockFile file, int number) : IBlockFile
    {
        public string Path => file.Path;
        public bool CanWrite => file.CanWrite;
        public long Length => file.Length;
        public string FileId => file.FileId;

        public int Read(long offset, Span<byte> buffer) => file.Read(offset, buffer);

        public void Write(long offset, ReadOnlySpan<byte> data)
        {
            lock (owner._effects)
            {
                owner.LookAtWatched();
                file.Write(offset, data);
                if (data.Length > 0) owner.Add(new FileEffect.Written(number, offset, data.ToArray()));
                owner.NoteTime(file, number);
            }
        }

        public void PunchHole(long offset, long count) => DoToContent(() => file.PunchHole(offset, count), new FileEffect.Punched(number, offset, count));

        public void SetLength(long length) => DoToContent(() => file.SetLength(length), new FileEffect.LengthSet(number, length));

        public void Flush() => owner.Do(file.Flush, new FileEffect.Flushed(number));

        public void BeginFlush(long offset, long count) => file.BeginFlush(offset, count);

        public void DropFromCache(long offset, long count) => file.DropFromCache(offset, count);

        public long CopyRange(long offset, IBlockFile target, long targetOffset, long count)
        {
            if (target is not RecordingFile other) return 0;
            lock (owner._effects)
            {
                owner.LookAtWatched();
                long copied = file.CopyRange(offset, other.Unwrapped, targetOffset, count);
                other.RecordContent(targetOffset, copied);
                return copied;
            }
        }

        public bool TryClone(IBlockFile target)
        {
            if (target is not RecordingFile other) return false;
            lock (owner._effects)
            {
                owner.LookAtWatched();
                if (!file.TryClone(other.Unwrapped)) return false;
                owner.Add(new FileEffect.LengthSet(other.Number, 0));
                owner.Add(new FileEffect.LengthSet(other.Number, file.Length));
                for (var data = file.NextData(0); data is { } range; data = file.NextData(range.Offset + range.Count))
                    other.RecordContent(range.Offset, range.Count);
                return true;
            }
        }

        public (long Offset, long Count)? NextData(long offset) => file.NextData(offset);

        public bool TryLock(long offset, long count, LockKind kind) => file.TryLock(offset, count, kind);

        public void Unlock(long offset, long count) => file.Unlock(offset, count);

        public bool IsLockedByOther(long offset, long count, LockKind kind) => file.IsLockedByOther(offset, count, kind);

        public void Dispose() => file.Dispose();

        private void DoToContent(Action effect, FileEffect record)
        {
            lock (owner._effects)
            {
                owner.Do(effect, record);
                owner.NoteTime(file, number);
            }
        }

        private IBlockFile Unwrapped => file;

        private int Number => number;

        private void RecordContent(long offset, long count)
        {
            const int step = 1 << 16;
            for (long done = 0; done < count; done += step)
            {
                byte[] data = new byte[Math.Min(step, count - done)];
                file.Read(offset + done, data);
                owner.Add(new FileEffect.Written(number, offset + done, data));
            }
            owner.NoteTime(file, number);
        }
    }
}
