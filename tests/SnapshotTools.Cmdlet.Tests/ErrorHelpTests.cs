using System.Text.RegularExpressions;
using SnapshotTools.Cmdlet.Tests.Engine;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests;

/// <summary>Whoever meets an error id or the code of a finding can look it up.</summary>
public sealed partial class ErrorHelpTests(PwshSession session) : ModuleTest(session)
{
    /// <summary>The ids of what the operating system and PowerShell answer.</summary>
    private static readonly string[] OfTheSystem = ["AccessDenied", "Canceled", "FileNotFound", "InputOutputError"];

    [Fact]
    public void The_page_has_each_id_and_code_and_no_other()
    {
        string page = File.ReadAllText(Path.Combine(Repository.Root, "docs", "about_SnapshotTools_Errors.md"));
        var explained = Entries().Matches(page).SelectMany(entry => Ids().Matches(entry.Value)).Select(m => m.Groups[1].Value).ToHashSet();

        Assert.Equal([.. Defined("ErrorIds").Concat(Defined("FindingCodes")).Concat(OfTheSystem).Distinct().Order()], explained.Order().ToArray());
    }

    [Fact]
    public void The_pages_of_the_cmdlets_name_ids_that_there_are()
    {
        var known = Defined("ErrorIds").Concat(OfTheSystem).ToHashSet();
        var named = Directory.GetFiles(Path.Combine(Repository.Root, "docs", "cmdlets")).SelectMany(File.ReadLines).Where(l => l.StartsWith("Error ids: ", StringComparison.Ordinal))
            .SelectMany(l => Remarks().Replace(l["Error ids: ".Length..], "").Split([',', '.', ' '], StringSplitOptions.RemoveEmptyEntries)).ToHashSet();

        Assert.True(named.Count > 20);
        Assert.Empty(named.Except(known).Except(["and"]));
    }

    [Fact]
    public void Get_Help_shows_the_page() => Assert.Contains("VmBusy", string.Concat(Texts("Get-Help about_SnapshotTools_Errors | Out-String")), StringComparison.Ordinal);

    private string[] Defined(string type) => [.. Texts($"(Get-Command Test-SnapshotStore).OutputType[0].Type.Assembly.GetType('SnapshotTools.Core.{type}').GetFields().Name")];

    [GeneratedRegex("^- `[^:]+:", RegexOptions.Multiline)]
    private static partial Regex Entries();

    [GeneratedRegex("`([A-Za-z]+)`")]
    private static partial Regex Ids();

    [GeneratedRegex(@"\([^)]*\)")]
    private static partial Regex Remarks();
}
