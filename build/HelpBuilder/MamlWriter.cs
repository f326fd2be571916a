using System.Globalization;
using System.Xml.Linq;

namespace HelpBuilder;

/// <summary>Writes pages as MAML, the XML that Get-Help reads. Elements and their order follow the PSMAML schema of PowerShell.</summary>
public static class MamlWriter
{
    private static readonly XNamespace Help = "http://msh";
    private static readonly XNamespace Maml = "http://schemas.microsoft.com/maml/2004/10";
    private static readonly XNamespace Command = "http://schemas.microsoft.com/maml/dev/command/2004/10";
    private static readonly XNamespace Dev = "http://schemas.microsoft.com/maml/dev/2004/10";

    /// <summary>Writes all pages into one file.</summary>
    public static void Write(IReadOnlyList<HelpPage> pages, string path) => ToXml(pages).Save(path);

    /// <summary>The document.</summary>
    public static XDocument ToXml(IReadOnlyList<HelpPage> pages) =>
        new(new XElement(Help + "helpItems", new XAttribute("schema", "maml"), pages.Select(Page)));

    private static XElement Page(HelpPage page)
    {
        string[] name = page.Name.Split('-', 2);
        return new XElement(Command + "command",
            new XAttribute(XNamespace.Xmlns + "maml", Maml), new XAttribute(XNamespace.Xmlns + "command", Command), new XAttribute(XNamespace.Xmlns + "dev", Dev),
            new XElement(Command + "details",
                new XElement(Command + "name", page.Name), new XElement(Command + "verb", name[0]), new XElement(Command + "noun", name[^1]), Text(Maml + "description", page.Synopsis)),
            Text(Maml + "description", page.Description),
            new XElement(Command + "syntax", page.ParameterSets.Select(s => SyntaxItem(page, s))),
            new XElement(Command + "parameters", page.Parameters.OrderBy(p => p.Name, StringComparer.OrdinalIgnoreCase).Select(p => Parameter(p, p.Uses[0], inSyntax: false))),
            new XElement(Command + "inputTypes", page.Inputs.Select(t => Type(Command + "inputType", t))),
            new XElement(Command + "returnValues", page.Outputs.Select(t => Type(Command + "returnValue", t))),
            new XElement(Maml + "alertSet", Text(Maml + "alert", page.Notes)),
            new XElement(Command + "examples", page.Examples.Select(Example)),
            new XElement(Command + "relatedLinks", page.Links.Select(l =>
                new XElement(Maml + "navigationLink", new XElement(Maml + "linkText", l.Text), new XElement(Maml + "uri", l.Uri)))));
    }

    private static XElement SyntaxItem(HelpPage page, string set) => new(Command + "syntaxItem",
        new XElement(Maml + "name", page.Name),
        page.Parameters.Select(p => (Parameter: p, Use: p.In(set))).Where(x => x.Use is not null)
            .OrderBy(x => int.TryParse(x.Use!.Position, NumberStyles.None, CultureInfo.InvariantCulture, out int position) ? position : int.MaxValue)
            .ThenBy(x => !x.Use!.Required).ThenBy(x => x.Parameter.Name is "WhatIf" or "Confirm").ThenBy(x => x.Parameter.Name, StringComparer.OrdinalIgnoreCase)
            .Select(x => Parameter(x.Parameter, x.Use!, inSyntax: true)));

    private static XElement Parameter(HelpParameter parameter, ParameterUse use, bool inSyntax)
    {
        var element = new XElement(Command + "parameter",
            new XAttribute("required", Bool(use.Required)), new XAttribute("variableLength", "true"), new XAttribute("globbing", Bool(use.Wildcards)),
            new XAttribute("pipelineInput", use.PipelineInput), new XAttribute("position", use.Position),
            new XAttribute("aliases", use.Aliases.Length == 0 ? "none" : string.Join(", ", use.Aliases)),
            new XElement(Maml + "name", parameter.Name),
            Text(Maml + "description", parameter.Description));
        if (inSyntax && use.AcceptedValues.Length > 0)
            element.Add(new XElement(Command + "parameterValueGroup", use.AcceptedValues.Select(v =>
                new XElement(Command + "parameterValue", new XAttribute("required", "false"), new XAttribute("variableLength", "false"), v))));
        // In a syntax line a value after a switch would read as if it took one.
        if (!(inSyntax && use.IsSwitch))
            element.Add(new XElement(Command + "parameterValue", new XAttribute("required", Bool(!use.IsSwitch)), new XAttribute("variableLength", "false"), use.Type));
        element.Add(new XElement(Dev + "type", new XElement(Maml + "name", use.Type), new XElement(Maml + "uri")), new XElement(Dev + "defaultValue", use.DefaultValue));
        return element;
    }

    private static XElement Type(XName name, HelpType type) =>
        new(name, new XElement(Dev + "type", new XElement(Maml + "name", type.Name)), Text(Maml + "description", type.Description));

    private static XElement Example(HelpExample example) => new(Command + "example",
        new XElement(Maml + "title", Rule(example.Title)),
        new XElement(Dev + "code", example.Code),
        new XElement(Dev + "remarks", Paragraphs(example.Remarks), new XElement(Maml + "para")));

    private static string Rule(string title)
    {
        string dashes = new('-', Math.Max(3, (62 - title.Length) / 2));
        return $"{dashes} {title} {dashes}";
    }

    private static XElement Text(XName name, string markdown) => new(name, Paragraphs(markdown));

    private static IEnumerable<XElement> Paragraphs(string markdown) => PlainText.Paragraphs(markdown).Select(p => new XElement(Maml + "para", p));

    private static string Bool(bool value) => value ? "true" : "false";
}
