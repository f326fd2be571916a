using System.Globalization;
using System.Management.Automation;

namespace SnapshotTools.Arguments;

/// <summary>Accepts a date, or a time from now such as <c>30d</c> (see <see cref="AgeAttribute"/>) or a <see cref="TimeSpan"/>.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class ExpiryAttribute : ArgumentTransformationAttribute
{
    /// <inheritdoc/>
    public override object? Transform(EngineIntrinsics engineIntrinsics, object inputData) => AgeAttribute.Unwrap(inputData) switch
    {
        null or "" => null,
        DateTimeOffset date => date,
        DateTime date => new DateTimeOffset(date),
        TimeSpan span => DateTimeOffset.Now + span,
        string text when AgeAttribute.TryParse(text, out var span) && !IsTimeOfDay(text) => DateTimeOffset.Now + span,
        string text when DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeLocal, out var date) => date,
        var other => throw new ArgumentTransformationMetadataException(
            $"'{other}' is no time to expire at. Give a date such as 2027-01-31, or a time from now such as 30d, 12h or 2w."),
    };

    private static bool IsTimeOfDay(string text) => text.Contains(':') && !text.Contains('.');
}
