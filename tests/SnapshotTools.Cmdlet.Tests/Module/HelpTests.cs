using System.Text.RegularExpressions;
using SnapshotTools.Cmdlet.Tests.Engine;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests.Module;

/// <summary>Every cmdlet and every parameter has its help, both in the pages and in what Get-Help shows of them.</summary>
public sealed partial class HelpTests(PwshSession session) : ModuleTest(session)
{
    [Fact]
    public void Pages_say_what_the_cmdlets_are()
    {
        string metadata = Session.File("commands.json");
        Run($"& '{Repository.Root}/build/Get-CommandMetadata.ps1' -Module (Get-Module SnapshotTools).ModuleBase | Set-Content '{metadata}'");
        string builder = Directory.GetFiles(Path.Combine(Repository.Root, "build", "HelpBuilder", "bin", Repository.Configuration), "HelpBuilder.dll", SearchOption.AllDirectories).Single();

        var (exitCode, problems) = Tool.TryRun("dotnet", [builder, "check", metadata, Path.Combine(Repository.Root, "docs", "cmdlets")]);

        Assert.True(exitCode == 0, problems);
    }

    [Fact]
    public void Get_Help_explains_every_cmdlet_and_parameter() => Assert.Empty(Texts("""
        $common = [System.Management.Automation.PSCmdlet]::CommonParameters + [System.Management.Automation.PSCmdlet]::OptionalCommonParameters
        foreach ($command in Get-Command -Module SnapshotTools) {
            $help = Get-Help $command.Name -Full
            if (-not $help.Synopsis -or $help.Synopsis.Trim().StartsWith($command.Name)) { "$command has no synopsis" }
            if (-not ($help.description | Out-String).Trim()) { "$command has no description" }
            if (@($help.examples.example).Count -lt 2) { "$command has fewer than two examples" }
            foreach ($name in $command.Parameters.Keys | Where-Object { $_ -notin $common }) {
                $parameter = $help.parameters.parameter | Where-Object name -EQ $name
                if (-not ($parameter.description | Out-String).Trim()) { "$command -$name has no help" }
            }
        }
        """));

    [Fact]
    public void The_ideas_are_explained_in_an_about_page() =>
        Assert.Contains("A volume is a virtual disk", Run("Get-Help about_SnapshotTools | Out-String").Text, StringComparison.Ordinal);

    /// <summary>A next step that is not there would be worse than none.</summary>
    [Fact]
    public void Messages_name_cmdlets_and_parameters_that_exist()
    {
        var names = Texts("foreach ($c in Get-Command -Module SnapshotTools) { $c.Name; foreach ($p in $c.Parameters.Keys) { \"-$p\" } }").ToHashSet();
        names.UnionWith(["-NoLogo", "-NoProfile", "-NonInteractive", "-Command", "Get-Command"]);   // how PowerShell is started
        var strings = Directory.GetFiles(Path.Combine(Repository.Root, "src"), "*.cs", SearchOption.AllDirectories)
            .Where(f => !f.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal))
            .SelectMany(File.ReadAllLines).SelectMany(l => Text().Matches(l)).Select(m => m.Value).ToList();

        var named = strings.SelectMany(s => NextStep().Matches(s)).Select(m => m.Value).Distinct().ToList();

        Assert.True(named.Count > 50, $"only {named.Count} were found");
        Assert.Equal([], named.Except(names));
    }

    [GeneratedRegex(@"""(?:[^""\\]|\\.)*""")]
    private static partial Regex Text();

    [GeneratedRegex(@"(?<![\w-])(-[A-Z][A-Za-z]+|(Get|Set|New|Remove|Start|Stop|Restore|Copy|Repair|Test|Optimize|Initialize|Resume|Suspend|Wait|Mount|Dismount|Connect|Disconnect|Rename|Resize)-[A-Z][A-Za-z]+)")]
    private static partial Regex NextStep();
}
