using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace SnapshotTools.Core.Engine;

/// <summary>The rules for names, and patterns over them.</summary>
internal static class Names
{
    private const int MaxLength = 128;

    /// <summary>Refuses a name that could not be a file's, could not be typed, or could be taken for an id or a pattern.</summary>
    public static string Validate(string? name, string what)
    {
        string? fault = name switch
        {
            null or "" => "is empty",
            _ when name.Length > MaxLength => $"has {name.Length} characters; at most {MaxLength} are allowed",
            _ when name.Trim() != name => "begins or ends with white space",
            _ when name is "." or ".." => "has a meaning of its own in paths",
            _ when name[0] == '-' => "begins with '-', which commands take for a parameter",
            _ when Guid.TryParse(name, out _) => "looks like an id",
            _ when name.Any(c => c is '/' or '\\' or ':' or '*' or '?' or '[' or ']' or '"' or '<' or '>' or '|' or '`') => "has one of / \\ : * ? [ ] \" < > | `",
            _ when HasHalf(name) => "has half a character in it",
            _ when name.Any(IsInvisible) => "has a control, line-breaking or direction-changing character",
            _ when Encoding.UTF8.GetByteCount(name) > 240 => "is longer than 240 bytes in UTF-8",
            _ => null,
        };
        return fault is null ? name! : throw new SnapshotException(ErrorIds.InvalidName, ErrorKind.InvalidInput,
            $"The name '{Shown(name)}' for a {what} cannot be used: it {fault}. Use 1 to {MaxLength} visible characters.", Shown(name));
    }

    /// <summary>Whether there is one half of a surrogate pair without the other, or what stands for such a half.</summary>
    private static bool HasHalf(string name)
    {
        foreach (Rune rune in name.EnumerateRunes())
            if (rune == Rune.ReplacementChar) return true;
        return false;
    }

    /// <summary>A name as a message may show it: no control characters, not endless.</summary>
    public static string Shown(string? name) => name is null ? "" : Printable(name, 80);

    /// <summary>A text that a terminal shows as it is: nothing in it moves the cursor, changes a direction or hides; and it is not endless.</summary>
    public static string Printable(string text, int maxLength)
    {
        string safe = text.Length > maxLength ? text[..(maxLength - 3)] + "..." : text;
        return safe.Any(IsInvisible) ? string.Concat(safe.Select(c => IsInvisible(c) ? '\uFFFD' : c)) : safe;
    }

    /// <summary>Whether a text is meant as a pattern.</summary>
    public static bool IsPattern(string text) => text.AsSpan().IndexOfAny('*', '?', '[') >= 0;

    /// <summary>A test for names or ids against patterns with <c>*</c>, <c>?</c> and <c>[a-z]</c>; case does not count. No pattern at all matches everything.</summary>
    /// <exception cref="SnapshotException"><see cref="ErrorIds.InvalidArgument"/>: a pattern cannot be read.</exception>
    public static Func<string, Guid, bool> Matcher(IReadOnlyList<string> patterns)
    {
        if (patterns.Count == 0) return static (_, _) => true;
        var tests = patterns.Select(Matcher).ToArray();
        return (name, id) => tests.Any(t => t(name, id));
    }

    private static Func<string, Guid, bool> Matcher(string pattern)
    {
        if (Guid.TryParse(pattern, out Guid wanted)) return (_, id) => id == wanted;
        if (!IsPattern(pattern)) return (name, _) => string.Equals(name, pattern, StringComparison.OrdinalIgnoreCase);
        var regex = Read(pattern);
        return (name, _) => regex.IsMatch(name);
    }

    private static Regex Read(string pattern)
    {
        try
        {
            return new Regex(ToRegex(pattern), RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.Singleline | RegexOptions.NonBacktracking);
        }
        catch (RegexParseException)
        {
            throw new SnapshotException(ErrorIds.InvalidArgument, ErrorKind.InvalidInput,
                $"'{Shown(pattern)}' is no pattern: a range in brackets is of single characters and goes upwards, such as [0-9]. List several names with commas.", Shown(pattern));
        }
    }

    private static string ToRegex(string pattern)
    {
        var regex = new StringBuilder("^");
        for (int i = 0; i < pattern.Length; i++)
        {
            char c = pattern[i];
            int end = c == '[' ? pattern.IndexOf(']', i + 1) : -1;
            if (c == '*') regex.Append(".*");
            else if (c == '?') regex.Append('.');
            else if (end > i + 1)
            {
                regex.Append('[').Append(pattern[(i + 1)..end].Replace("\\", "\\\\", StringComparison.Ordinal).Replace("^", "\\^", StringComparison.Ordinal).Replace("[", "\\[", StringComparison.Ordinal)).Append(']');
                i = end;
            }
            else regex.Append(Regex.Escape(c.ToString()));
        }
        return regex.Append('$').ToString();
    }

    private static bool IsInvisible(char c) =>
        char.IsControl(c) || CharUnicodeInfo.GetUnicodeCategory(c) is UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        || c is '\uFFFE' or '\uFFFF';
}
