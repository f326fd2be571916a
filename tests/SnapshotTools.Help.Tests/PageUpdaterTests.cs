using HelpBuilder;
using Xunit;

namespace SnapshotTools.Help.Tests;

public sealed class PageUpdaterTests
{
    private static readonly string Page = Sample.Page.ReplaceLineEndings("\n");

    [Fact]
    public void A_page_in_step_stays_as_it_is() => Assert.Equal(Page, PageUpdater.Update(Page, Sample.Command));

    [Fact]
    public void A_new_parameter_gets_its_place_and_all_prose_stays()
    {
        var set = Sample.Command.ParameterSets[0];
        var command = Sample.Command with { ParameterSets = [set with { Parameters = [.. set.Parameters, Sample.Parameter("Depth", "Int32")] }, Sample.Command.ParameterSets[1]] };

        string updated = PageUpdater.Update(Page, command);

        Assert.True(updated.IndexOf("### -Color", StringComparison.Ordinal) < updated.IndexOf("### -Depth", StringComparison.Ordinal));
        Assert.True(updated.IndexOf("### -Depth", StringComparison.Ordinal) < updated.IndexOf("### -Force", StringComparison.Ordinal));
        Assert.Contains("[-Depth <Int32>]", updated, StringComparison.Ordinal);
        foreach (string prose in new[] { "The colour.", "Does not ask.", "The id.", "Gets some.", "# not a heading", "Default value: Red" })
            Assert.Contains(prose, updated, StringComparison.Ordinal);
        Assert.Equal(updated, PageUpdater.Update(updated, command));
    }

    [Fact]
    public void A_parameter_that_differs_between_sets_has_a_block_for_each()
    {
        var sets = Sample.Command.ParameterSets;
        var command = Sample.Command with { ParameterSets = [sets[0], sets[1] with { Parameters = [.. sets[1].Parameters.Where(p => p.Name != "Color"), Sample.Parameter("Color", required: true, values: ["Red", "Blue"])] }] };

        string updated = PageUpdater.Update(Page, command);

        var color = HelpPage.Parse(updated, "x").Parameters.Single(p => p.Name == "Color");
        Assert.Equal([false, true], color.Uses.Select(u => u.Required));
        Assert.Equal(updated, PageUpdater.Update(updated, command));
    }

    [Fact]
    public void A_new_page_is_whole_but_for_what_a_person_writes()
    {
        using var folder = new Folder();
        PageUpdater.UpdateFile(Sample.Command, folder.Path);

        string[] faults = [.. PageChecker.Check([Sample.Command], folder.Path)];

        Assert.Equal(["Get-Thing: something is still to be filled in."], faults);
    }

    private sealed class Folder : IDisposable
    {
        public string Path { get; } = Directory.CreateTempSubdirectory("snapshottools-help-").FullName;

        public void Dispose() => Directory.Delete(Path, recursive: true);
    }
}
