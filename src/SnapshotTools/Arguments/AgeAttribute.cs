using System.Buffers;
using System.Globalization;
using System.Management.Automation;

namespace SnapshotTools.Arguments;

/// <summary>
/// Accepts an age: a <see cref="TimeSpan"/>, a text such as <c>14d</c>, <c>36h</c>, <c>90m</c>, <c>30s</c>, <c>2w</c> or <c>1d12h</c>,
/// a text as .NET writes time spans (<c>14.00:00:00</c>), or a date, which means the time since then. A bare number is refused: PowerShell
/// would take it for a number of 100 ns.
/// </summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class AgeAttribute : ArgumentTransformationAttribute
{
    private static readonly SearchValues<char> Number = SearchValues.Create("0123456789.");

    /// <inheritdoc/>
    public override object? Transform(EngineIntrinsics engineIntrinsics, object inputData) => Unwrap(inputData) switch
    {
        null or "" => null,
        TimeSpan span => NotNegative(span),
        DateTimeOffset date => NotNegative(DateTimeOffset.Now - date),
        DateTime date => NotNegative(DateTimeOffset.Now - date),
        string text => NotNegative(Parse(text)),
        var other => throw Refused(other.ToString()),
    };

    /// <summary>Reads an age such as <c>14d</c> or <c>1d12h</c>.</summary>
    /// <exception cref="ArgumentTransformationMetadataException">It is none.</exception>
    internal static TimeSpan Parse(string text) => TryParse(text, out var age) ? age : throw Refused(text);

    /// <summary>Reads an age such as <c>14d</c> or <c>1d12h</c>; false where the text is none.</summary>
    internal static bool TryParse(string text, out TimeSpan age)
    {
        age = TimeSpan.Zero;
        var rest = text.AsSpan().Trim();
        if (rest.IsEmpty) return false;
        if (rest.Contains(':')) return TimeSpan.TryParse(rest, CultureInfo.InvariantCulture, out age);
        double seconds = 0;
        while (!rest.IsEmpty)
        {
            int digits = rest.IndexOfAnyExcept(Number);
            if (digits <= 0 || !double.TryParse(rest[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number)) return false;
            double unit = char.ToLowerInvariant(rest[digits]) switch { 's' => 1, 'm' => 60, 'h' => 3600, 'd' => 86400, 'w' => 604800, _ => 0 };
            if (unit == 0) return false;
            seconds += number * unit;
            rest = rest[(digits + 1)..].TrimStart();
        }
        if (seconds > TimeSpan.MaxValue.TotalSeconds / 2) return false;
        age = TimeSpan.FromSeconds(seconds);
        return true;
    }

    /// <summary>
    /// The object itself; a number as it was typed, because PowerShell takes <c>14d</c> for a decimal and <c>30s</c> for a short
    /// and keeps the text beside it.
    /// </summary>
    internal static object? Unwrap(object? value) => value switch
    {
        PSObject { BaseObject: IFormattable and ValueType and not DateTime and not DateTimeOffset and not TimeSpan } number => number.ToString(),
        PSObject wrapped => wrapped.BaseObject,
        _ => value,
    };

    private static TimeSpan NotNegative(TimeSpan span) =>
        span >= TimeSpan.Zero ? span : throw new ArgumentTransformationMetadataException("An age lies in the past; this one is in the future.");

    private static ArgumentTransformationMetadataException Refused(string? text) =>
        new($"'{text}' is no age. Give a number with its unit, such as 14d, 36h, 90m, 30s, 2w or 1d12h, or a TimeSpan.");
}
