namespace SnapshotTools.Benchmarks.Harness;

/// <summary>Contenders in turn.</summary>
internal static class Turns
{
    /// <summary>All of them, each round beginning with another, so that none always follows the same one.</summary>
    public static IEnumerable<T> Of<T>(IReadOnlyList<T> contenders, int round) => contenders.Select((_, i) => contenders[(i + round) % contenders.Count]);
}
