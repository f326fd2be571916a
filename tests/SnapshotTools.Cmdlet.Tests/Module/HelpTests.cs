using SnapshotTools.Cmdlet.Tests.Engine;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests.Module;

/// <summary>Every cmdlet and every parameter has its help, both in the pages and in what Get-Help shows of them.</summary>
public sealed class HelpTests(PwshSession session) : ModuleTest(session)
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
}
