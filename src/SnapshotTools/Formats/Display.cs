using System.Globalization;
using System.Management.Automation;
using SnapshotTools.Core;

namespace SnapshotTools.Formats;

/// <summary>What the format file shows: PowerShell finds the types of this assembly by name, but not those of the libraries below it.</summary>
public static class Display
{
    /// <summary>A size with a binary unit, such as <c>1.5 GiB</c>; empty for null.</summary>
    public static string Size(long? bytes) => bytes is { } size ? ByteSize.Format(size) : "";

    /// <summary>A time in the reader's time zone, to the minute; empty for null.</summary>
    public static string Time(PSObject? time)
    {
        // What Import-Clixml makes of a time is a bag of its properties.
        object? utc = time?.BaseObject is DateTimeOffset live ? live.UtcDateTime : time?.Properties["UtcDateTime"]?.Value;
        return utc is DateTime known ? known.ToLocalTime().ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture) : "";
    }

    /// <summary>A short time in milliseconds, such as <c>3.2 ms</c>; empty for null.</summary>
    public static string Duration(TimeSpan? time) => time is { } span ? string.Create(CultureInfo.InvariantCulture, $"{span.TotalMilliseconds:0.0} ms") : "";

    /// <summary>
    /// A state in its color: green runs or is done, yellow waits, red needs somebody. PowerShell takes the color out again where the
    /// terminal shows none, or <c>$PSStyle.OutputRendering</c> says so.
    /// </summary>
    public static string State(PSObject? state)
    {
        string text = state?.ToString() ?? "";
        return text switch
        {
            "Running" or "Completed" => Colored(text, 32),
            "Paused" or "Suspended" or "Pending" or "Interrupted" or "Warning" => Colored(text, 33),
            "Error" or "Failed" => Colored(text, 31),
            _ => text,
        };
    }

    /// <summary>A line of a tree; the present stands out.</summary>
    public static string TreeLine(string line, bool isPresent) => isPresent ? Colored(line, 32) : line;

    private static string Colored(string text, int color) => string.Create(CultureInfo.InvariantCulture, $"\u001b[{color}m{text}\u001b[0m");
}
