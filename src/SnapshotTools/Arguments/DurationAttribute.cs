using System.Globalization;
using System.Management.Automation;

namespace SnapshotTools.Arguments;

/// <summary>Accepts a short time: a <see cref="TimeSpan"/>, a number of milliseconds, or a text such as <c>200ms</c>, <c>1.5s</c> or <c>2m</c>.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class DurationAttribute : ArgumentTransformationAttribute
{
    /// <inheritdoc/>
    public override object? Transform(EngineIntrinsics engineIntrinsics, object inputData) => AgeAttribute.Unwrap(inputData) switch
    {
        null or "" => null,
        TimeSpan span => Positive(span),
        IFormattable number and (int or long or short or byte or double or decimal) => Positive(Parse(number.ToString(null, CultureInfo.InvariantCulture))),
        string text => Positive(Parse(text)),
        var other => throw Refused(other.ToString()),
    };

    /// <summary>Reads a time such as <c>200ms</c>; a bare number counts milliseconds.</summary>
    /// <exception cref="ArgumentTransformationMetadataException">It is none.</exception>
    internal static TimeSpan Parse(string text)
    {
        string trimmed = text.Trim();
        string number = trimmed.EndsWith("ms", StringComparison.OrdinalIgnoreCase) ? trimmed[..^2] : trimmed;
        if (double.TryParse(number, NumberStyles.AllowDecimalPoint | NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture, out double milliseconds) && milliseconds < int.MaxValue)
            return TimeSpan.FromMilliseconds(milliseconds);
        return AgeAttribute.TryParse(trimmed, out var span) ? span : throw Refused(text);
    }

    private static TimeSpan Positive(TimeSpan span) =>
        span > TimeSpan.Zero ? span : throw new ArgumentTransformationMetadataException($"'{span}' is no time that something may take. Give one above zero, such as 200ms.");

    private static ArgumentTransformationMetadataException Refused(string? text) =>
        new($"'{text}' is no time that something may take. Give milliseconds, a number with its unit such as 200ms, 1.5s or 2m, or a TimeSpan.");
}
