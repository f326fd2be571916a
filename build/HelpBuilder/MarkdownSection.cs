using System.Text;

namespace HelpBuilder;

/// <summary>A heading and what stands under it. Headings inside code blocks are none.</summary>
public sealed class MarkdownSection
{
    private readonly List<string> _lines = [];
    private readonly List<MarkdownSection> _children = [];

    private MarkdownSection(int level, string title)
    {
        Level = level;
        Title = title;
    }

    /// <summary>1 for <c>#</c>; 0 for the page.</summary>
    public int Level { get; }

    /// <summary>The heading's text.</summary>
    public string Title { get; }

    /// <summary>The sections under this one.</summary>
    public IReadOnlyList<MarkdownSection> Children => _children;

    /// <summary>The text before the first section under this one.</summary>
    public string Text => string.Join('\n', _lines);

    /// <summary>The text with that of the sections under this one, whose headings become lines.</summary>
    public string AllText => string.Join('\n', [Text, .. _children.Select(c => $"{c.Title}\n\n{c.AllText}")]);

    /// <summary>The code blocks.</summary>
    public IEnumerable<(string Language, string Text)> Fences
    {
        get
        {
            string? language = null;
            List<string> code = [];
            foreach (string line in _lines)
            {
                if (!line.StartsWith("```", StringComparison.Ordinal))
                {
                    if (language is not null) code.Add(line);
                }
                else if (language is null)
                {
                    language = line[3..].Trim();
                }
                else
                {
                    yield return (language, string.Join('\n', code));
                    language = null;
                    code.Clear();
                }
            }
        }
    }

    /// <summary>The text without its code blocks.</summary>
    public string WithoutFences
    {
        get
        {
            var text = new StringBuilder();
            bool inside = false;
            foreach (string line in _lines)
            {
                if (line.StartsWith("```", StringComparison.Ordinal)) inside = !inside;
                else if (!inside) text.Append(line).Append('\n');
            }
            return text.ToString();
        }
    }

    /// <summary>Reads a page; a block of front matter is left out.</summary>
    public static MarkdownSection Parse(string markdown)
    {
        var lines = markdown.ReplaceLineEndings("\n").Split('\n').ToList();
        if (lines[0] == "---") lines.RemoveRange(0, lines.IndexOf("---", 1) + 1);
        var page = new MarkdownSection(0, "");
        var path = new Stack<MarkdownSection>([page]);
        bool fenced = false;
        foreach (string line in lines)
        {
            if (line.StartsWith("```", StringComparison.Ordinal)) fenced = !fenced;
            int level = fenced ? 0 : line.TakeWhile(c => c == '#').Count();
            if (level == 0 || level >= line.Length || line[level] != ' ')
            {
                path.Peek()._lines.Add(line);
                continue;
            }
            while (path.Peek().Level >= level) path.Pop();
            var section = new MarkdownSection(level, line[level..].Trim());
            path.Peek()._children.Add(section);
            path.Push(section);
        }
        return page;
    }
}
