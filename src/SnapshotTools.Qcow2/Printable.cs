using System.Globalization;
using System.Text;

namespace SnapshotTools.Qcow2;

/// <summary>Makes names from untrusted files fit for messages.</summary>
internal static class Printable
{
    private const int MaxLength = 200;

    /// <summary>The text with control and formatting characters (terminal escapes, right-to-left marks) replaced, and cut when long.</summary>
    public static string Text(string text)
    {
        var result = new StringBuilder();
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (result.Length >= MaxLength) return result.Append('…').ToString();
            bool plain = Rune.GetUnicodeCategory(rune) is not (UnicodeCategory.Control or UnicodeCategory.Format
                or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned);
            result.Append(plain ? rune.ToString() : "?");
        }
        return result.ToString();
    }
}
