namespace SnapshotTools.Testing.Files;

/// <summary>What a disk may hold after a crash.</summary>
/// <param name="Description">The moment and what was lost; with the same recording and seed it names the same state again.</param>
/// <param name="Files">The files as the next process finds them.</param>
public sealed record CrashState(string Description, MemoryFileSystem Files);

/// <summary>
/// From the files as they were before and the effects that <see cref="RecordingFileSystem"/> wrote down: every state in which
/// a killed process, and the states in which a power cut, may leave them.
/// </summary>
/// <remarks>
/// What is taken for granted, as POSIX and the file systems of Linux grant it: a sector of 512 bytes is written whole or not at
/// all; between two flushes each sector of a file may be on disk in any of the versions that it had, whatever the
/// other sectors' order; the length likewise, except that growing after a cut cannot bring back what was cut off; a part
/// never written reads as zeroes. A flush of a file makes its content durable, and not its name. A name created, deleted, renamed or linked
/// may be there or not until each directory that it touches was synced; a rename happens wholly or not at all. The right to
/// write (frozen) is taken as durable at once.
/// </remarks>
public sealed class CrashModel(MemoryFileSystem before, IReadOnlyList<FileEffect> effects)
{
    private const int KernelPage = 4096;

    private readonly MemoryFileSystem _before = before.Copy();

    /// <summary>The states that a kill of the process leaves: all effects up to a moment and none after. One for every
    /// prefix of the effects, and for writes of more than a page also one in which the kernel stopped between two pages.</summary>
    public IEnumerable<CrashState> Kills()
    {
        DiskReplay replay = new(_before);
        yield return new CrashState("killed before any effect", replay.Present());
        for (int i = 0; i < effects.Count; i++)
        {
            if (effects[i] is FileEffect.Written { Data.Length: > KernelPage } write)
            {
                int half = write.Data.Length / 2 / KernelPage * KernelPage;
                if (half > 0)
                {
                    DiskReplay torn = new(_before);
                    foreach (FileEffect earlier in effects.Take(i)) torn.Apply(earlier);
                    torn.Apply(write with { Data = write.Data[..half] });
                    yield return new CrashState($"killed within effect {i} of {effects.Count}, after {half} bytes of {write}", torn.Present());
                }
            }
            if (effects[i] is FileEffect.LinkReplaced link)
            {
                MemoryFileSystem early = replay.Present();
                early.ReplaceLink(IO.TemporaryLink.NameFor(link.Path), link.Target);
                yield return new CrashState($"killed within effect {i} of {effects.Count}, before the rename of {link}", early);
            }
            replay.Apply(effects[i]);
            if (effects[i] is FileEffect.Flushed or FileEffect.DirectorySynced or FileEffect.Opened or FileEffect.TimeSet) continue;
            yield return new CrashState($"killed after effect {i} of {effects.Count}, {effects[i]}", replay.Present());
        }
    }

    /// <summary>
    /// States that a power cut may leave. They are built just before each flush, where the most is at stake (every state
    /// possible earlier is possible there too), and at the end. Where there are at most <paramref name="perMoment"/> combinations of
    /// lost effects all are given; otherwise none, all, each effect alone lost, each alone kept, prefixes, and random ones; and
    /// beside them some in which writes are torn between sectors.
    /// </summary>
    public IEnumerable<CrashState> PowerCuts(int perMoment = 64, int seed = 1)
    {
        DiskReplay replay = new(_before);
        for (int i = 0; i <= effects.Count; i++)
        {
            bool last = i == effects.Count;
            if (last || effects[i] is FileEffect.Flushed or FileEffect.DirectorySynced or FileEffect.ChangedByOthers)
            {
                string moment = last ? $"power cut after all {i} effects" : $"power cut before effect {i} of {effects.Count}, {effects[i]}";
                foreach (var (choice, text) in Choices(replay.Pending, perMoment, new Random(HashCode(seed, i))))
                    yield return new CrashState($"{moment}: {text} (seed {seed})", replay.Surviving(choice));
            }
            if (!last) replay.Apply(effects[i]);
        }
    }

    private static int HashCode(int seed, int moment) => unchecked((seed * 1_000_003) ^ (moment * 7919));

    private static IEnumerable<(SurvivalChoice Choice, string Text)> Choices(IReadOnlyList<PendingEffect> pending, int limit, Random random)
    {
        HashSet<string> seen = [];
        foreach (bool[] kept in Subsets(pending.Count, limit, random))
        {
            if (!seen.Add(string.Concat(kept.Select(k => k ? '1' : '0')))) continue;
            yield return (new SurvivalChoice(kept, null), Describe(pending, kept));
        }
        int[] tearable = [.. Enumerable.Range(0, pending.Count).Where(p => pending[p].Sectors > 1)];
        if (tearable.Length == 0) yield break;
        for (int n = 0; n < Math.Max(4, limit / 4); n++)
        {
            int torn = tearable[random.Next(tearable.Length)];
            bool[] kept = new bool[pending.Count];
            for (int p = 0; p < kept.Length; p++) kept[p] = (n % 3) switch { 0 => true, 1 => p == torn, _ => random.Next(2) == 0 };
            kept[torn] = true;
            int sectorSeed = random.Next();
            bool everywhere = n % 4 == 3;
            yield return (
                new SurvivalChoice(kept, new Tearing(everywhere ? null : torn, sectorSeed)),
                $"torn between sectors ({(everywhere ? "all" : pending[torn].Text)}, {sectorSeed}); {Describe(pending, kept)}");
        }
    }

    private static IEnumerable<bool[]> Subsets(int count, int limit, Random random)
    {
        if (count < 30 && 1 << count <= limit)
        {
            for (int mask = 0; mask < 1 << count; mask++)
                yield return [.. Enumerable.Range(0, count).Select(p => (mask & (1 << p)) != 0)];
            yield break;
        }
        yield return new bool[count];
        yield return [.. Enumerable.Repeat(true, count)];
        int each = Math.Max(1, limit / 5);
        foreach (int p in Some(count, each, random)) yield return [.. Enumerable.Range(0, count).Select(q => q != p)];
        foreach (int p in Some(count, each, random)) yield return [.. Enumerable.Range(0, count).Select(q => q == p)];
        foreach (int p in Some(count, each, random)) yield return [.. Enumerable.Range(0, count).Select(q => q < p)];
        for (int n = 0; n < 2 * each; n++) yield return [.. Enumerable.Range(0, count).Select(_ => random.Next(2) == 0)];
    }

    private static int[] Some(int count, int wanted, Random random)
    {
        int[] all = [.. Enumerable.Range(0, count)];
        if (count <= wanted) return all;
        random.Shuffle(all);
        return all[..wanted];
    }

    private static string Describe(IReadOnlyList<PendingEffect> pending, bool[] kept)
    {
        if (pending.Count == 0) return "nothing was pending";
        string[] lost = [.. pending.Where((_, p) => !kept[p]).Select(p => p.Text)];
        return lost.Length switch
        {
            0 => "nothing lost",
            _ when lost.Length == pending.Count => $"all {lost.Length} pending effects lost",
            <= 6 => "lost " + string.Join(", ", lost),
            _ => $"lost {lost.Length} of {pending.Count}: {string.Join(", ", lost.Take(6))} …",
        };
    }
}

/// <summary>An effect that is not durable yet.</summary>
/// <param name="Text">The effect, for people.</param>
/// <param name="Sectors">How many sectors it writes; 0 for names.</param>
internal sealed record PendingEffect(string Text, int Sectors);

/// <summary>Which pending effects reach the disk.</summary>
/// <param name="Kept">By the position in <see cref="DiskReplay.Pending"/>.</param>
/// <param name="Tearing">Which writes reach it only in part.</param>
internal sealed record SurvivalChoice(bool[] Kept, Tearing? Tearing);

/// <summary>Writes torn between sectors.</summary>
/// <param name="Effect">The one that is torn, or null for all.</param>
/// <param name="Seed">Chooses the sectors.</param>
internal sealed record Tearing(int? Effect, int Seed);
