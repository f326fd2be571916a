namespace HelpBuilder;

/// <summary>Says what the help of the cmdlets lacks.</summary>
public static class PageChecker
{
    /// <summary>One sentence for each fault; none when the help is complete.</summary>
    public static IEnumerable<string> Check(IReadOnlyList<CommandMetadata> commands, string folder)
    {
        foreach (var command in commands)
        {
            string path = Path.Combine(folder, command.Name + ".md");
            if (!File.Exists(path))
            {
                yield return $"{command.Name} has no page. Make one: build/pwsh build.ps1 -Task Docs";
                continue;
            }
            foreach (string fault in CheckPage(command, File.ReadAllText(path))) yield return $"{command.Name}: {fault}";
        }
        var names = commands.Select(c => c.Name).ToHashSet(StringComparer.OrdinalIgnoreCase);
        foreach (string page in Directory.EnumerateFiles(folder, "*-*.md").Select(f => Path.GetFileNameWithoutExtension(f)!).Where(n => !names.Contains(n)).Order())
            yield return $"{page} is a page of no cmdlet.";
    }

    /// <summary>What one page lacks.</summary>
    public static IEnumerable<string> CheckPage(CommandMetadata command, string text)
    {
        HelpPage page;
        string? broken = null;
        try
        {
            page = HelpPage.Parse(text, command.Name + ".md");
        }
        catch (FormatException e)
        {
            broken = e.Message;
            page = null!;
        }
        if (broken is not null) return [broken];
        List<string> faults = [];
        if (page.Name != command.Name) faults.Add($"its heading is '{page.Name}'.");
        if (page.Synopsis.Length == 0) faults.Add("the synopsis is missing.");
        if (page.Description.Length == 0) faults.Add("the description is missing.");
        if (page.Examples.Count < 2) faults.Add($"it has {page.Examples.Count} examples; two are the least.");
        faults.AddRange(page.Examples.Where(e => e.Remarks.Length == 0).Select(e => $"'{e.Title}' says nothing of what it does."));
        faults.AddRange(page.Parameters.Where(p => p.Description.Length == 0).Select(p => $"-{p.Name} has no description."));
        string[] known = [.. command.ParameterNames];
        faults.AddRange(known.Except(page.Parameters.Select(p => p.Name)).Select(p => $"-{p} is missing."));
        faults.AddRange(page.Parameters.Select(p => p.Name).Except(known).Select(p => $"-{p} is no parameter any more."));
        if (text.Contains(PageUpdater.Placeholder, StringComparison.Ordinal)) faults.Add("something is still to be filled in.");
        if (faults.Count == 0 && PageUpdater.Update(text, command) != text.ReplaceLineEndings("\n"))
            faults.Add("its syntax or parameters are not those of the cmdlet. Bring it in step: build/pwsh build.ps1 -Task Docs");
        return faults;
    }
}
