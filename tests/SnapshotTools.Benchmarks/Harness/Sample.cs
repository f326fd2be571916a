namespace SnapshotTools.Benchmarks.Harness;

/// <summary>Measurements of one thing, in the unit of their row.</summary>
/// <param name="Count">How many there are.</param>
/// <param name="Median">Their median.</param>
/// <param name="Low">The first quartile.</param>
/// <param name="High">The third quartile.</param>
/// <param name="Min">The smallest.</param>
/// <param name="Max">The largest.</param>
public sealed record Sample(int Count, double Median, double Low, double High, double Min, double Max)
{
    /// <summary>Half of the distance between the quartiles, as a part of the median: how far one may trust it.</summary>
    public double Spread => Median == 0 ? 0 : (High - Low) / 2 / Median;

    /// <summary>Describes measurements; at least one.</summary>
    public static Sample Of(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        if (sorted.Length == 0) throw new ArgumentException("Nothing was measured.", nameof(values));
        return new Sample(sorted.Length, Quantile(sorted, 0.5), Quantile(sorted, 0.25), Quantile(sorted, 0.75), sorted[0], sorted[^1]);
    }

    private static double Quantile(double[] sorted, double part)
    {
        double at = part * (sorted.Length - 1);
        int below = (int)at;
        return below + 1 == sorted.Length ? sorted[below] : sorted[below] + (at - below) * (sorted[below + 1] - sorted[below]);
    }
}
