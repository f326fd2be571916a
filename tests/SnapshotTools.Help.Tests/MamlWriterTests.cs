using System.Xml.Linq;
using HelpBuilder;
using Xunit;

namespace SnapshotTools.Help.Tests;

public sealed class MamlWriterTests
{
    private readonly XElement _command = MamlWriter.ToXml([HelpPage.Parse(Sample.Page, "Get-Thing.md")]).Root!.Elements().Single();

    [Fact]
    public void Synopsis_and_description_are_plain_paragraphs()
    {
        Assert.Equal("Gets things from the store.", Find("details", "description").Value);
        Assert.Equal(["The first paragraph is wrapped. See the guide.", "- one\n- two"], Paragraphs(_command.Elements().Single(e => e.Name.LocalName == "description")));
    }

    [Fact]
    public void Each_parameter_set_is_a_syntax_of_its_own()
    {
        var items = Find("syntax").Elements().ToList();

        Assert.Equal(["Name", "Color", "Force"], Names(items[0]));
        Assert.Equal(["Id", "Color", "Force"], Names(items[1]));
    }

    [Fact]
    public void A_switch_takes_no_value_in_a_syntax()
    {
        var force = Find("syntax").Elements().First().Elements().Last();

        Assert.DoesNotContain(force.Elements(), e => e.Name.LocalName == "parameterValue");
    }

    [Fact]
    public void Parameters_carry_their_facts()
    {
        var id = Find("parameters").Elements().Single(p => Child(p, "name").Value == "Id");

        Assert.Equal(("true", "named", "True (ByPropertyName, ByValue)"), (id.Attribute("required")!.Value, id.Attribute("position")!.Value, id.Attribute("pipelineInput")!.Value));
        Assert.Equal("Guid", Child(id, "parameterValue").Value);
    }

    [Fact]
    public void Examples_keep_their_code()
    {
        var example = Find("examples").Elements().First();

        Assert.Equal("Get-Thing\n# not a heading", Child(example, "code").Value);
        Assert.Equal(["Gets all.", ""], Paragraphs(Child(example, "remarks")));
        Assert.Contains(" Example 1: All ", Child(example, "title").Value, StringComparison.Ordinal);
    }

    [Fact]
    public void Types_and_links_are_there()
    {
        Assert.Equal("Thing", Find("returnValues").Descendants().First(e => e.Name.LocalName == "name").Value);
        Assert.Equal("Set-Thing", Find("relatedLinks").Descendants().First(e => e.Name.LocalName == "linkText").Value);
    }

    private XElement Find(params string[] path) => path.Aggregate(_command, Child);

    private static XElement Child(XElement parent, string name) => parent.Elements().First(e => e.Name.LocalName == name);

    private static string[] Names(XElement item) => [.. item.Elements().Where(e => e.Name.LocalName == "parameter").Select(p => Child(p, "name").Value)];

    private static string[] Paragraphs(XElement element) => [.. element.Elements().Select(p => p.Value)];
}
