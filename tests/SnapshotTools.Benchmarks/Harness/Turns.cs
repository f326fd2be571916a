namespace SnapshotTools.Benchmarks.Harness;

/// <summary>Contenders in turn.</summary>
internal static class Turns
{
    /// <summary>
    /// All of them, in an order that changes from round to round: what one leaves behind, such as a busy disk or its own data in the caches, meets each of the
    /// others equally often, in as many rounds as there are contenders or, if their number is odd, twice as many (E. J. Williams, 1949: a row of numbers whose
    /// neighbours differ by another distance each, shifted by one each round; for an odd number every other time backwards).
    /// </summary>
    public static IEnumerable<T> Of<T>(IReadOnlyList<T> contenders, int round)
    {
        int count = contenders.Count;
        bool isBackwards = count % 2 == 1 && round / count % 2 == 1;
        return Enumerable.Range(0, count).Select(i => isBackwards ? count - 1 - i : i).Select(i => contenders[(ZigZag(i) + round) % count]);

        int ZigZag(int i) => i % 2 == 0 ? i / 2 : count - 1 - (i / 2);      // 0, n-1, 1, n-2, 2, …
    }
}
