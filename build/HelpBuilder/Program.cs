using HelpBuilder;

const string usage = """
    usage: HelpBuilder maml DOCS-FOLDER OUTPUT.xml      MAML help of all pages
           HelpBuilder about PAGE.md OUTPUT.help.txt    text of an about_ page
           HelpBuilder update METADATA.json DOCS-FOLDER adds what pages lack, never changing prose
           HelpBuilder check METADATA.json DOCS-FOLDER  lists what pages lack; exit code 1 if anything
    """;

switch (args)
{
    case ["maml", var folder, var output]:
        MamlWriter.Write([.. HelpPage.ReadFolder(folder)], output);
        return 0;
    case ["about", var page, var output]:
        File.WriteAllText(output, AboutText.From(File.ReadAllText(page)));
        return 0;
    case ["update", var metadata, var folder]:
        foreach (var command in CommandMetadata.Read(metadata)) PageUpdater.UpdateFile(command, folder);
        return 0;
    case ["check", var metadata, var folder]:
        string[] problems = [.. PageChecker.Check(CommandMetadata.Read(metadata), folder)];
        foreach (string problem in problems) Console.WriteLine(problem);
        return problems.Length == 0 ? 0 : 1;
    default:
        Console.Error.WriteLine(usage);
        return 2;
}
