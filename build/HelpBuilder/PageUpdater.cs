using System.Text;

namespace HelpBuilder;

/// <summary>
/// Brings a page in step with its cmdlet: the syntax and each parameter's block of YAML are written anew, missing parameters get a place
/// to fill in. Prose is never touched; a parameter that is gone stays until a person deletes it, and the check names it.
/// </summary>
public static class PageUpdater
{
    /// <summary>Stands where a person has to write.</summary>
    public const string Placeholder = "{{ Fill in";

    /// <summary>Updates, or makes, the page of a cmdlet in a folder.</summary>
    public static void UpdateFile(CommandMetadata command, string folder)
    {
        string path = Path.Combine(folder, command.Name + ".md");
        string before = File.Exists(path) ? File.ReadAllText(path) : Template(command);
        string after = Update(before, command);
        if (!File.Exists(path) || after != before) File.WriteAllText(path, after);
    }

    /// <summary>The page as it should be.</summary>
    public static string Update(string page, CommandMetadata command)
    {
        var lines = page.ReplaceLineEndings("\n").Split('\n').ToList();
        ReplaceSection(lines, "## SYNTAX", Syntax(command));
        foreach (string name in command.ParameterNames) UpdateParameter(lines, command, name);
        return string.Join('\n', lines);
    }

    private static void UpdateParameter(List<string> lines, CommandMetadata command, string name)
    {
        int start = lines.IndexOf($"### -{name}");
        if (start < 0)
        {
            start = PlaceFor(lines, name);
            lines.InsertRange(start, [$"### -{name}", "", Standard(name) ?? $"{Placeholder} the description of {name} }}}}", ""]);
        }
        int end = SectionEnd(lines, start);
        string defaultValue = lines[start..end].FirstOrDefault(l => l.StartsWith("Default value: ", StringComparison.Ordinal))?["Default value: ".Length..] ?? "None";
        for (int open = FindFence(lines, start, end); open >= 0; open = FindFence(lines, start, end))
        {
            int close = lines.IndexOf("```", open + 1);
            lines.RemoveRange(open, close - open + 1);
            end = SectionEnd(lines, start);
        }
        while (end > start + 1 && lines[end - 1].Length == 0) lines.RemoveAt(--end);
        lines.InsertRange(end, ["", .. Yaml(command, name, defaultValue)]);
    }

    /// <summary>Before the first parameter with a later name, or at the end of the parameters.</summary>
    private static int PlaceFor(List<string> lines, string name)
    {
        int section = lines.IndexOf("## PARAMETERS");
        if (section < 0) throw new FormatException("The section '## PARAMETERS' is missing.");
        int i = section + 1;
        for (; i < lines.Count && !lines[i].StartsWith("## ", StringComparison.Ordinal); i++)
        {
            if (lines[i] == "### CommonParameters") return i;
            bool isLast = name is "WhatIf" or "Confirm";
            if (lines[i].StartsWith("### -", StringComparison.Ordinal) && !isLast && string.Compare(lines[i][5..], name, StringComparison.OrdinalIgnoreCase) > 0) return i;
        }
        return i;
    }

    private static int FindFence(List<string> lines, int start, int end) => lines.FindIndex(start, end - start, l => l == "```yaml");

    private static int SectionEnd(List<string> lines, int start)
    {
        bool fenced = false;
        for (int i = start + 1; i < lines.Count; i++)
        {
            if (lines[i].StartsWith("```", StringComparison.Ordinal)) fenced = !fenced;
            if (!fenced && lines[i].StartsWith('#')) return i;
        }
        return lines.Count;
    }

    private static void ReplaceSection(List<string> lines, string heading, IEnumerable<string> content)
    {
        int start = lines.IndexOf(heading);
        if (start < 0) throw new FormatException($"The section '{heading}' is missing.");
        int end = lines.FindIndex(start + 1, l => l.StartsWith("## ", StringComparison.Ordinal));
        lines.RemoveRange(start + 1, end - start - 1);
        lines.InsertRange(start + 1, content);
    }

    private static IEnumerable<string> Syntax(CommandMetadata command)
    {
        yield return "";
        foreach (var set in command.ParameterSets)
        {
            if (command.ParameterSets.Length > 1)
            {
                yield return $"### {set.Name}{(set.IsDefault ? " (Default)" : "")}";
                yield return "";
            }
            yield return "```";
            yield return $"{command.Name} {string.Concat(set.Parameters.Select(p => Usage(p) + " "))}[<CommonParameters>]";
            yield return "```";
            yield return "";
        }
    }

    private static string Usage(ParameterMetadata p)
    {
        string name = p.Position is null ? $"-{p.Name}" : p.Required ? $"[-{p.Name}]" : $"-{p.Name}";
        string text = p.IsSwitch ? name : p.Position is null || p.Required ? $"{name} <{p.Type}>" : $"[{name}] <{p.Type}>";
        return p.Required ? text : $"[{text}]";
    }

    private static IEnumerable<string> Yaml(CommandMetadata command, string name, string defaultValue)
    {
        var uses = command.ParameterSets.SelectMany(s => s.Parameters.Where(p => p.Name == name).Select(p => (Set: s.Name, Parameter: p)))
            .GroupBy(x => (x.Parameter.Required, x.Parameter.Position, x.Parameter.ByValue, x.Parameter.ByPropertyName)).ToList();
        foreach (var use in uses)
        {
            var p = use.First().Parameter;
            bool all = use.Count() == command.ParameterSets.Length;
            string[] pipeline = [.. new[] { p.ByPropertyName ? "ByPropertyName" : "", p.ByValue ? "ByValue" : "" }.Where(w => w.Length > 0)];
            yield return "```yaml";
            yield return $"Type: {p.Type}";
            yield return $"Parameter Sets: {(all ? "(All)" : string.Join(", ", use.Select(u => u.Set)))}";
            yield return $"Aliases: {string.Join(", ", p.Aliases)}".TrimEnd();
            if (p.Values.Length > 0) yield return $"Accepted values: {string.Join(", ", p.Values)}";
            yield return "";
            yield return $"Required: {p.Required}";
            yield return $"Position: {p.Position?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "Named"}";
            yield return $"Default value: {(p.IsSwitch && defaultValue == "None" ? "False" : defaultValue)}";
            yield return $"Accept pipeline input: {(pipeline.Length == 0 ? "False" : $"True ({string.Join(", ", pipeline)})")}";
            yield return $"Accept wildcard characters: {p.Wildcards}";
            yield return "```";
            yield return "";
        }
    }

    /// <summary>What is the same for every cmdlet.</summary>
    private static string? Standard(string name) => name switch
    {
        "WhatIf" => "Shows what would happen and changes nothing.",
        "Confirm" => "Asks before anything is changed.",
        _ => null,
    };

    private static string Template(CommandMetadata command)
    {
        var page = new StringBuilder();
        page.Append("---\nexternal help file: SnapshotTools.dll-Help.xml\nModule Name: SnapshotTools\nonline version:\nschema: 2.0.0\n---\n\n");
        page.Append($"# {command.Name}\n\n## SYNOPSIS\n\n{Placeholder} the synopsis }}}}\n\n## SYNTAX\n\n## DESCRIPTION\n\n{Placeholder} the description }}}}\n\n## EXAMPLES\n\n");
        for (int i = 1; i <= 2; i++) page.Append($"### Example {i}: {Placeholder} a title }}}}\n\n```powershell\n{Placeholder} code }}}}\n```\n\n{Placeholder} what it does }}}}\n\n");
        page.Append("## PARAMETERS\n\n### CommonParameters\n\nThis cmdlet supports the common parameters; see [about_CommonParameters](http://go.microsoft.com/fwlink/?LinkID=113216).\n\n");
        page.Append("## INPUTS\n\n## OUTPUTS\n\n");
        foreach (string type in command.OutputTypes) page.Append($"### {type}\n\n");
        page.Append("## NOTES\n\n## RELATED LINKS\n");
        return page.ToString();
    }
}
