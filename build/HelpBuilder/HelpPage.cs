using System.Text.RegularExpressions;

namespace HelpBuilder;

/// <summary>A page of help in the PlatyPS layout (schema 2.0.0), one for each cmdlet.</summary>
public sealed partial class HelpPage
{
    /// <summary>The cmdlet.</summary>
    public required string Name { get; init; }

    /// <summary>What the cmdlet does, in a sentence.</summary>
    public required string Synopsis { get; init; }

    /// <summary>The description, as markdown.</summary>
    public required string Description { get; init; }

    /// <summary>The names of the parameter sets, the default one first; <c>__AllParameterSets</c> when there is one only.</summary>
    public required IReadOnlyList<string> ParameterSets { get; init; }

    /// <summary>The examples.</summary>
    public required IReadOnlyList<HelpExample> Examples { get; init; }

    /// <summary>The parameters.</summary>
    public required IReadOnlyList<HelpParameter> Parameters { get; init; }

    /// <summary>Types that can be piped in, with their descriptions.</summary>
    public required IReadOnlyList<HelpType> Inputs { get; init; }

    /// <summary>Types that come out, with their descriptions.</summary>
    public required IReadOnlyList<HelpType> Outputs { get; init; }

    /// <summary>Notes, as markdown.</summary>
    public required string Notes { get; init; }

    /// <summary>Related links: text and address, which may be empty.</summary>
    public required IReadOnlyList<(string Text, string Uri)> Links { get; init; }

    /// <summary>Reads all pages of a folder, in the order of their names.</summary>
    public static IEnumerable<HelpPage> ReadFolder(string folder) =>
        Directory.EnumerateFiles(folder, "*-*.md").Order(StringComparer.Ordinal).Select(f => Parse(File.ReadAllText(f), Path.GetFileName(f)));

    /// <summary>Reads a page.</summary>
    /// <exception cref="FormatException">The page is not of the layout.</exception>
    public static HelpPage Parse(string markdown, string file)
    {
        var page = MarkdownSection.Parse(markdown);
        var title = page.Children.FirstOrDefault(s => s.Level == 1) ?? throw new FormatException($"{file}: the heading '# Verb-Noun' is missing.");
        MarkdownSection Section(string name) =>
            title.Children.FirstOrDefault(s => s.Title == name) ?? throw new FormatException($"{file}: the section '## {name}' is missing.");
        try
        {
            return new HelpPage
            {
                Name = title.Title,
                Synopsis = Section("SYNOPSIS").Text.Trim(),
                Description = Section("DESCRIPTION").AllText.Trim(),
                ParameterSets = ReadSets(Section("SYNTAX")),
                Examples = [.. Section("EXAMPLES").Children.Select(HelpExample.From)],
                Parameters = [.. Section("PARAMETERS").Children.Where(s => s.Title.StartsWith('-')).Select(HelpParameter.From)],
                Inputs = [.. Section("INPUTS").Children.Select(s => new HelpType(s.Title, s.Text.Trim()))],
                Outputs = [.. Section("OUTPUTS").Children.Select(s => new HelpType(s.Title, s.Text.Trim()))],
                Notes = Section("NOTES").AllText.Trim(),
                Links = [.. Link().Matches(Section("RELATED LINKS").Text).Select(m => (m.Groups["text"].Value, m.Groups["uri"].Value))],
            };
        }
        catch (FormatException e)
        {
            throw new FormatException(e.Message.StartsWith(file, StringComparison.Ordinal) ? e.Message : $"{file}: {e.Message}", e);
        }
    }

    private static List<string> ReadSets(MarkdownSection syntax)
    {
        var sets = syntax.Children.OrderBy(s => !s.Title.EndsWith(" (Default)", StringComparison.Ordinal)).Select(s => s.Title.Replace(" (Default)", "", StringComparison.Ordinal)).ToList();
        return sets.Count == 0 ? ["__AllParameterSets"] : sets;
    }

    [GeneratedRegex(@"\[(?<text>[^\]]+)\]\((?<uri>[^)]*)\)")]
    private static partial Regex Link();
}

/// <summary>An example.</summary>
/// <param name="Title">Its heading, such as <c>Example 1: Before an upgrade</c>.</param>
/// <param name="Code">What is typed, and what comes.</param>
/// <param name="Remarks">The text about it, as markdown.</param>
public sealed record HelpExample(string Title, string Code, string Remarks)
{
    internal static HelpExample From(MarkdownSection section)
    {
        string code = string.Join("\n\n", section.Fences.Select(f => f.Text));
        return new HelpExample(section.Title, code.Length > 0 ? code : throw new FormatException($"the example '{section.Title}' has no code block."), section.WithoutFences.Trim());
    }
}

/// <summary>A type of INPUTS or OUTPUTS.</summary>
/// <param name="Name">The type.</param>
/// <param name="Description">What it is for, as markdown.</param>
public sealed record HelpType(string Name, string Description);

/// <summary>A parameter.</summary>
/// <param name="Name">Its name, without the dash.</param>
/// <param name="Description">Its description, as markdown.</param>
/// <param name="Uses">What it is in which parameter sets; one block of YAML each.</param>
public sealed record HelpParameter(string Name, string Description, IReadOnlyList<ParameterUse> Uses)
{
    internal static HelpParameter From(MarkdownSection section)
    {
        var uses = section.Fences.Where(f => f.Language == "yaml").Select(f => ParameterUse.Parse(f.Text)).ToList();
        if (uses.Count == 0) throw new FormatException($"the parameter {section.Title} has no block of YAML.");
        return new HelpParameter(section.Title[1..], section.WithoutFences.Trim(), uses);
    }

    /// <summary>What it is in a parameter set; null where it is not part of it.</summary>
    public ParameterUse? In(string set) => Uses.FirstOrDefault(u => u.Sets.Contains(set)) ?? Uses.FirstOrDefault(u => u.Sets.Contains("(All)"));
}

/// <summary>What a parameter is in some parameter sets.</summary>
public sealed class ParameterUse
{
    private readonly Dictionary<string, string> _values;

    private ParameterUse(Dictionary<string, string> values) => _values = values;

    /// <summary>The parameter sets, or <c>(All)</c>.</summary>
    public string[] Sets => List("Parameter Sets");

    /// <summary>The short name of its type.</summary>
    public string Type => _values.GetValueOrDefault("Type", "Object");

    /// <summary>Its aliases.</summary>
    public string[] Aliases => List("Aliases");

    /// <summary>The values that it accepts.</summary>
    public string[] AcceptedValues => List("Accepted values");

    /// <summary>Whether it must be given.</summary>
    public bool Required => _values.GetValueOrDefault("Required") == "True";

    /// <summary>A number or <c>named</c>.</summary>
    public string Position => _values.GetValueOrDefault("Position", "Named").ToLowerInvariant();

    /// <summary>What it is when not given.</summary>
    public string DefaultValue => _values.GetValueOrDefault("Default value", "None");

    /// <summary><c>False</c>, or <c>True</c> with the ways in brackets.</summary>
    public string PipelineInput => _values.GetValueOrDefault("Accept pipeline input", "False");

    /// <summary>Whether it accepts wildcards.</summary>
    public bool Wildcards => _values.GetValueOrDefault("Accept wildcard characters") == "True";

    /// <summary>Whether it is a switch.</summary>
    public bool IsSwitch => Type == "SwitchParameter";

    internal static ParameterUse Parse(string yaml)
    {
        var values = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (string line in yaml.Split('\n').Where(l => l.Trim().Length > 0))
        {
            int colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon < 0) throw new FormatException($"the line '{line}' of a block of YAML is no 'key: value'.");
            values[line[..colon].Trim()] = line[(colon + 1)..].Trim();
        }
        return new ParameterUse(values);
    }

    private string[] List(string key) => _values.TryGetValue(key, out string? value) ? value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) : [];
}
