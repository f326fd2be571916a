using System.Globalization;
using SnapshotTools.Benchmarks.Harness;

namespace SnapshotTools.Benchmarks.Reports;

/// <summary>Figures for people: three digits and a unit.</summary>
internal static class Numbers
{
    public static string Format(double value, Unit unit) => unit == Unit.Seconds ? Seconds(value) : Bytes(value);

    public static string Ratio(double value) => double.IsFinite(value) ? Digits(value) + "×" : "";

    public static string Percent(double part) => string.Create(CultureInfo.InvariantCulture, $"±{part * 100:0} %");

    private static string Seconds(double value) => value switch
    {
        < 0.000_001 => Digits(value * 1e9) + " ns",
        < 0.001 => Digits(value * 1e6) + " µs",
        < 1 => Digits(value * 1e3) + " ms",
        _ => Digits(value) + " s",
    };

    private static string Bytes(double value) => value switch
    {
        < 1 << 20 => Digits(value / (1 << 10)) + " KiB",
        < 1 << 30 => Digits(value / (1 << 20)) + " MiB",
        _ => Digits(value / (1 << 30)) + " GiB",
    };

    private static string Digits(double value) => value.ToString(value >= 100 ? "0" : value >= 10 ? "0.0" : "0.00", CultureInfo.InvariantCulture);
}
