using SnapshotTools.IO;

namespace SnapshotTools.Testing.Files;

/// <summary>Replays recorded effects and keeps apart what is durable and what is not; the rules are those of <see cref="CrashModel"/>.</summary>
internal sealed class DiskReplay
{
    private readonly SortedDictionary<string, Entry> _present = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, Entry> _durable = new(StringComparer.Ordinal);
    private readonly Dictionary<int, ReplayedFile> _files = [];
    private readonly List<NameChange> _names = [];

    public DiskReplay(MemoryFileSystem before)
    {
        Load(before, "/");
        foreach (var (path, entry) in _present) _durable[path] = entry;
    }

    /// <summary>What a power cut may take away: names first, then contents, each in the order of its effects.</summary>
    public IReadOnlyList<PendingEffect> Pending =>
    [
        .. OpenNames.Select(n => new PendingEffect(n.Text, 0)),
        .. PendingWrites.Select(w => new PendingEffect(w.Text, w.After.Count)),
    ];

    private IEnumerable<NameChange> OpenNames => _names.Where(n => n.WaitsFor.Count > 0);

    private IEnumerable<PendingWrite> PendingWrites => _files.Values.Distinct().SelectMany(f => f.Pending).OrderBy(w => w.Order);

    public void Apply(FileEffect effect)
    {
        switch (effect)
        {
            case FileEffect.Opened(var path, var number):
                _files[number] = Follow(path).File ?? throw new InvalidOperationException($"{effect}: there is no such file.");
                break;
            case FileEffect.Created(var path, var number):
                _files[number] = new ReplayedFile();
                Change(effect, [(path, new Entry(FileKind.Regular, _files[number], null))]);
                break;
            case FileEffect.Written(var number, var offset, var data):
                _files[number].Write(effect, offset, data);
                break;
            case FileEffect.Punched(var number, var offset, var count):
                _files[number].Punch(effect, offset, count);
                break;
            case FileEffect.LengthSet(var number, var length):
                _files[number].SetLength(effect, length);
                break;
            case FileEffect.TimeSet(var number, var time):
                _files[number].ModifiedAt = time;
                break;
            case FileEffect.Flushed(var number):
                _files[number].Flush();
                break;
            case FileEffect.DirectoryCreated(var path):
                Change(effect, [(path, new Entry(FileKind.Directory, null, null))]);
                break;
            case FileEffect.Deleted(var path):
                Change(effect, [(path, null)]);
                break;
            case FileEffect.DirectoryDeleted(var path):
                Change(effect, [(path, null)]);
                break;
            case FileEffect.Renamed(var path, var newPath):
                Change(effect, [(path, null), (newPath, _present[Full(path)])]);
                break;
            case FileEffect.LinkReplaced(var path, var target):
                string temporary = TemporaryLink.NameFor(path);
                Entry link = new(FileKind.Link, null, target);
                Change(effect, [(temporary, link)]);
                Change(effect, [(temporary, null), (path, link)]);
                break;
            case FileEffect.FrozenSet(var path, var frozen):
                if (_present[Full(path)].File is { } file) file.Frozen = frozen;
                break;
            case FileEffect.DirectorySynced(var path):
                Settle(Full(path));
                break;
            case FileEffect.ChangedByOthers(var path, var content):
                ReplaceDurably(Full(path), content);
                break;
            default:
                throw new InvalidOperationException($"{effect} is not known.");
        }
    }

    /// <summary>The files as a process sees them that goes on running.</summary>
    public MemoryFileSystem Present() => Build(_present, f => f.Now.Copy(), f => f.ModifiedAt);

    /// <summary>The files after a power cut with a choice of what was lost.</summary>
    public MemoryFileSystem Surviving(SurvivalChoice choice)
    {
        SortedDictionary<string, Entry> names = new(_durable, StringComparer.Ordinal);
        int position = 0;
        foreach (NameChange change in _names)
            if (change.WaitsFor.Count == 0 || choice.Kept[position++]) change.Do(names);

        Dictionary<PendingWrite, Func<long, bool>> kept = [];
        Random random = new(choice.Tearing?.Seed ?? 0);
        foreach (PendingWrite write in PendingWrites)
        {
            int own = position++;
            if (!choice.Kept[own]) continue;
            bool torn = choice.Tearing is { } t && (t.Effect is null || t.Effect == own);
            kept[write] = torn ? _ => random.Next(2) == 0 : _ => true;
        }
        return Build(names, f => f.Surviving(kept), f => f.Pending.Any(kept.ContainsKey) ? f.ModifiedAt : f.DurableModifiedAt);
    }

    private static string Full(string path) => Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));

    private static MemoryFileSystem Build(SortedDictionary<string, Entry> names, Func<ReplayedFile, SparseContent> content, Func<ReplayedFile, DateTimeOffset> time)
    {
        MemoryFileSystem built = new();
        // Sorted by path a directory comes before what is in it; what is in a lost directory is lost.
        foreach (var (path, entry) in names)
        {
            if (built.NodeAt(MemoryFileSystem.ParentOf(path))?.Kind != FileKind.Directory) continue;
            built.Put(path, entry.Kind switch
            {
                FileKind.Regular => new MemoryNode(FileKind.Regular) { Content = content(entry.File!), Frozen = entry.File!.Frozen, ModifiedAt = time(entry.File) },
                _ => new MemoryNode(entry.Kind) { Target = entry.Target },
            });
        }
        return built;
    }

    private void Load(MemoryFileSystem before, string directory)
    {
        foreach (FileStat stat in before.List(directory))
        {
            MemoryNode node = before.NodeAt(stat.Path)!;
            _present[stat.Path] = new Entry(stat.Kind, stat.Kind == FileKind.Regular ? new ReplayedFile(node) : null, node.Target);
            if (stat.Kind == FileKind.Directory) Load(before, stat.Path);
        }
    }

    private Entry Follow(string path)
    {
        Entry entry = _present[Full(path)];
        return entry.Kind == FileKind.Link ? Follow(Path.Combine(MemoryFileSystem.ParentOf(path), entry.Target!)) : entry;
    }

    private void Change(FileEffect effect, (string Path, Entry? Entry)[] entries)
    {
        NameChange change = new(
            effect.ToString(),
            [.. entries.Select(e => (Full(e.Path), e.Entry))],
            [.. entries.Select(e => MemoryFileSystem.ParentOf(e.Path))]);
        change.Do(_present);
        _names.Add(change);
    }

    private void Settle(string directory)
    {
        foreach (NameChange change in _names) change.WaitsFor.Remove(directory);
        while (_names.Count > 0 && _names[0].WaitsFor.Count == 0)
        {
            _names[0].Do(_durable);
            _names.RemoveAt(0);
        }
    }

    private void ReplaceDurably(string path, byte[]? content)
    {
        foreach (var names in new[] { _present, _durable })
        {
            if (content is null) names.Remove(path);
            else names[path] = new Entry(FileKind.Regular, new ReplayedFile(content), null);
        }
    }

    private sealed record Entry(FileKind Kind, ReplayedFile? File, string? Target);

    /// <summary>A change of names that happens wholly or not at all.</summary>
    private sealed record NameChange(string Text, (string Path, Entry? Entry)[] Entries, HashSet<string> WaitsFor)
    {
        public void Do(SortedDictionary<string, Entry> names)
        {
            foreach (var (path, entry) in Entries)
            {
                if (entry is null) names.Remove(path);
                else names[path] = entry;
            }
        }
    }
}
