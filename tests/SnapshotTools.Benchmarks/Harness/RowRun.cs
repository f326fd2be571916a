using System.Globalization;
using SnapshotTools.Testing;

namespace SnapshotTools.Benchmarks.Harness;

/// <summary>One row while it is measured.</summary>
internal sealed class RowRun(Row row, Scale scale, string folder, Action<string> log)
{
    private static readonly TimeSpan CompilersPause = TimeSpan.FromMilliseconds(400);

    private readonly List<ContenderResult> _results = [];
    private readonly List<GoalResult> _goals = [];
    private readonly List<string> _notes = [];
    private readonly List<string> _notRun = [];

    public Scale Scale => scale;

    /// <summary>A folder of the row's own, deleted after it.</summary>
    public string Folder => folder;

    public Unit Unit { get; set; }

    /// <summary>The path for a file or folder of the row.</summary>
    public string File(string name) => Path.Combine(folder, $"{Path.GetFileName(folder)}-{name}");

    /// <summary>A new folder of the row, for many small files: see <see cref="FreshFolders"/>.</summary>
    public string NewFolder(string name) => FreshFolders.Make(File(name));

    public void Note(string text) => _notes.Add(text);

    public void NotRun(string text) => _notRun.Add(text);

    public void Log(string text) => log(text);

    /// <summary>The programs that the row cannot do without.</summary>
    public static void Require(params string[] tools)
    {
        string[] missing = [.. tools.Where(t => Tool.Find(t) is null)];
        if (missing.Length > 0) throw new NotHereException($"not on this machine: {string.Join(", ", missing)}");
    }

    /// <summary>Does our work many times before anything is measured, since a process that has just begun compiles much of what it does; the row says so.
    /// The runtime compiles what is used often in the background, better each time, and not before nothing new has been called for 100 ms: so there are pauses.</summary>
    public void WarmUp(int times, Action work)
    {
        if (scale == Scale.Smoke) return;
        int parts = scale.Pick(8, 1, 0);
        for (int part = 0; part < parts; part++)
        {
            for (int i = 0; i < times; i++) work();
            Thread.Sleep(CompilersPause);
        }
        Note(Invariant($"ours after {parts * times} unmeasured operations of the same process in another store, in {parts} part{(parts == 1 ? "" : "s")} with pauses, in which the runtime compiles what is used often; what a young one takes is the row `session/first-snapshot`"));
    }

    /// <summary>Lets the contenders work in turn, some unmeasured rounds first. Whatever one left to be written is on the disk before the next begins.</summary>
    public void Measure(int rounds, int warmUps, params IReadOnlyList<Contender> contenders)
    {
        var values = contenders.ToDictionary(c => c, _ => new List<double>());
        if (scale == Scale.Smoke) (rounds, warmUps) = (1, 0);
        for (int round = -warmUps; round < rounds; round++)
        {
            foreach (var contender in Turns.Of(contenders, round + warmUps))
            {
                contender.Before?.Invoke();
                if (scale != Scale.Smoke) Native.SyncFileSystem(folder);
                double value = contender.Measure();
                contender.After?.Invoke();
                if (round >= 0) values[contender].Add(value);
            }
        }
        foreach (var contender in contenders) Add(contender.Name, contender.Role, values[contender]);
    }

    /// <summary>Adds what was measured in another way.</summary>
    public void Add(string name, Role role, IEnumerable<double> values) => _results.Add(new ContenderResult(name, role, Sample.Of(values)));

    /// <summary>Whether something of that role was measured.</summary>
    public bool Has(Role role) => _results.Exists(r => r.Role == role);

    /// <summary>The best median of a role.</summary>
    public double Best(Role role) => _results.Where(r => r.Role == role).Min(r => r.Sample.Median);

    /// <summary>Ours takes at most a part of what the best peer takes.</summary>
    public void GoalFaster(double times, string than = "the best peer", Func<string, bool>? peers = null)
    {
        double peer = _results.Where(r => r.Role == Role.Peer && (peers is null || peers(r.Name))).Select(r => r.Sample.Median).DefaultIfEmpty(double.NaN).Min();
        if (double.IsNaN(peer)) return;
        double reached = peer / Best(Role.Ours);
        Goal(Invariant($"≥ {times:0.##}× as fast as {than}"), Invariant($"{Number(reached)}×"), reached >= times);
    }

    /// <summary>One contender takes at most a part of what another takes, both by their names: for what is measured in another way than the row.</summary>
    public void GoalFasterBetween(double times, string ours, string other, string than)
    {
        double reached = MedianOf(other) / MedianOf(ours);
        Goal(Invariant($"≥ {times:0.##}× as fast as {than}"), Invariant($"{Number(reached)}×"), reached >= times);

        double MedianOf(string name) => _results.Single(r => r.Name == name).Sample.Median;
    }

    /// <summary>Ours takes at most so many times the limit.</summary>
    public void GoalOfLimit(double times, string limit = "the limit") => GoalAtMostTimes(times, Role.Limit, limit);

    /// <summary>Ours takes at most so many times the reference.</summary>
    public void GoalFlat(double times, string reference) => GoalAtMostTimes(times, Role.Reference, reference);

    /// <summary>Ours is at most so much, in the row's unit.</summary>
    public void GoalAtMost(double value) => Goal($"≤ {Format(value)}", Format(Best(Role.Ours)), Best(Role.Ours) <= value);

    public void Goal(string text, string reached, bool isReached) => _goals.Add(new GoalResult(text, reached, isReached));

    public string Format(double value) => Reports.Numbers.Format(value, Unit);

    public RowResult Result() => new()
    {
        Id = row.Id,
        Work = row.Work,
        Unit = Unit,
        Contenders = _results,
        Goals = _goals,
        Notes = _notes,
        NotRun = _notRun,
    };

    private void GoalAtMostTimes(double times, Role role, string what)
    {
        if (!Has(role)) return;
        double reached = Best(Role.Ours) / Best(role);
        Goal(Invariant($"≤ {times:0.##}× {what}"), Invariant($"{Number(reached)}×"), reached <= times);
    }

    private static string Number(double value) => value.ToString(value >= 100 ? "0" : value >= 10 ? "0.0" : "0.00", CultureInfo.InvariantCulture);

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);
}
