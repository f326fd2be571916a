using System.Text;

namespace HelpBuilder;

/// <summary>An about_ page as Get-Help shows it: headings in capitals at the margin, text below them indented and wrapped at 80 columns.</summary>
public static class AboutText
{
    private const int Width = 80;
    private const int Indent = 4;

    /// <summary>Turns the markdown into text.</summary>
    public static string From(string markdown)
    {
        var text = new StringBuilder();
        Append(text, MarkdownSection.Parse(markdown));
        return text.ToString().TrimEnd() + "\n";
    }

    private static void Append(StringBuilder text, MarkdownSection section)
    {
        // The first heading is the page's name, which Get-Help calls TOPIC.
        if (section.Level == 1) text.Append("TOPIC\n").Append(' ', Indent).Append(section.Title).Append("\n\n");
        else if (section.Level > 1) text.Append(section.Level == 2 ? section.Title.ToUpperInvariant() : $"  {section.Title}").Append('\n');
        foreach (string paragraph in PlainText.Paragraphs(section.Text))
        {
            foreach (string line in paragraph.Split('\n')) Wrap(text, line);
            text.Append('\n');
        }
        foreach (var child in section.Children) Append(text, child);
    }

    private static void Wrap(StringBuilder text, string line)
    {
        int margin = Indent + line.TakeWhile(c => c == ' ').Count();
        if (margin >= Indent * 2)                       // code stays as it is
        {
            text.Append(' ', Indent).Append(line).Append('\n');
            return;
        }
        string current = new(' ', margin);
        int hanging = margin + (line.TrimStart().StartsWith("- ", StringComparison.Ordinal) ? 2 : 0);
        bool empty = true;
        foreach (string word in line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            if (!empty && current.Length + 1 + word.Length > Width)
            {
                text.Append(current).Append('\n');
                current = new string(' ', hanging);
                empty = true;
            }
            current += empty ? word : " " + word;
            empty = false;
        }
        text.Append(current).Append('\n');
    }
}
