using HelpBuilder;
using Xunit;

namespace SnapshotTools.Help.Tests;

public sealed class PageCheckerTests
{
    [Fact]
    public void A_whole_page_has_no_fault() => Assert.Empty(Check(Sample.Page));

    [Theory]
    [InlineData("Gets **things** from the `store`.", "", "the synopsis is missing.")]
    [InlineData("The colour.", "", "-Color has no description.")]
    [InlineData("### -Force", "### -Fierce", "-Force is missing.")]
    [InlineData("### -Force", "### -Fierce", "-Fierce is no parameter any more.")]
    [InlineData("Gets some.", "", "'Example 2: One' says nothing of what it does.")]
    [InlineData("### Example 2: One", "", "it has 1 examples; two are the least.")]
    [InlineData("# Get-Thing", "# Get-Think", "its heading is 'Get-Think'.")]
    [InlineData("Type: Guid", "Type: String", "its syntax or parameters are not those of the cmdlet. Bring it in step: build/pwsh build.ps1 -Task Docs")]
    [InlineData("## NOTES", "## NOTICES", "Get-Thing.md: the section '## NOTES' is missing.")]
    public void A_fault_is_named(string from, string to, string fault) => Assert.Contains(fault, Check(Sample.Page.Replace(from, to, StringComparison.Ordinal)));

    [Fact]
    public void A_cmdlet_without_a_page_and_a_page_without_a_cmdlet_are_named()
    {
        string folder = Directory.CreateTempSubdirectory("snapshottools-help-").FullName;
        try
        {
            File.WriteAllText(Path.Combine(folder, "Old-Thing.md"), "");

            string[] faults = [.. PageChecker.Check([Sample.Command], folder)];

            Assert.Equal(2, faults.Length);
            Assert.Contains("Get-Thing has no page", faults[0], StringComparison.Ordinal);
            Assert.Contains("Old-Thing is a page of no cmdlet", faults[1], StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static IEnumerable<string> Check(string page) => PageChecker.CheckPage(Sample.Command, page);
}
