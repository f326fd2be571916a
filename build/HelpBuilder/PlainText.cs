using System.Text.RegularExpressions;

namespace HelpBuilder;

/// <summary>Markdown as plain text: paragraphs on one line, lists and code as they stand, emphasis and links without their marks.</summary>
public static partial class PlainText
{
    /// <summary>The paragraphs; a list or a code block keeps its lines.</summary>
    public static IEnumerable<string> Paragraphs(string markdown)
    {
        List<string> block = [];
        bool fenced = false;
        foreach (string line in markdown.ReplaceLineEndings("\n").Split('\n').Append(""))
        {
            if (line.StartsWith("```", StringComparison.Ordinal))
            {
                if (block.Count > 0) yield return Close(block, fenced);
                block.Clear();
                fenced = !fenced;
            }
            else if (line.Trim().Length > 0 || (fenced && block.Count > 0))
            {
                block.Add(line.TrimEnd());
            }
            else if (block.Count > 0)
            {
                yield return Close(block, fenced);
                block.Clear();
            }
        }
    }

    /// <summary>A line without the marks of emphasis, code and links.</summary>
    public static string Inline(string text) => Escape().Replace(Emphasis().Replace(Link().Replace(text, "${text}"), "${text}"), "${char}");

    private static string Close(List<string> block, bool fenced)
    {
        if (fenced) return string.Join('\n', block.Select(l => "    " + l)).TrimEnd();
        if (block[0].StartsWith("    ", StringComparison.Ordinal) && !ListItem().IsMatch(block[0])) return string.Join('\n', block);   // code, too
        List<string> lines = [];
        foreach (string line in block)
        {
            if (lines.Count == 0 || ListItem().IsMatch(line) || line.StartsWith('|')) lines.Add(line);
            else lines[^1] += " " + line.Trim();
        }
        return string.Join('\n', lines.Select(Inline));
    }

    [GeneratedRegex(@"!?\[(?<text>[^\]]+)\]\([^)]*\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"(?<mark>\*\*|`|(?<![\w*])\*(?=\S))(?<text>.+?)\k<mark>")]
    private static partial Regex Emphasis();

    [GeneratedRegex(@"\\(?<char>[\\`*_{}\[\]<>()#+.!|-])")]
    private static partial Regex Escape();

    [GeneratedRegex(@"^\s*([-*+]|\d+\.)\s")]
    private static partial Regex ListItem();
}
