using System.Text.RegularExpressions;
using SnapshotTools.Cmdlet.Tests.Engine;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests;

/// <summary>The session in the README can be retyped, and shows what it says it shows.</summary>
public sealed partial class ReadmeTests(PwshSession session) : ModuleTest(session)
{
    [Fact]
    public void The_session_shows_what_the_README_says()
    {
        string readme = File.ReadAllText(Path.Combine(Repository.Root, "README.md"));
        string[] steps = SessionBlock().Match(readme).Groups[1].Value.Split("PS> ", StringSplitOptions.RemoveEmptyEntries);
        Assert.True(steps.Length > 10);
        Run("Set-Location (New-Item -ItemType Directory readme); Remove-Item env:SNAPSHOTTOOLS_STORE");

        foreach (string step in steps)
        {
            string[] parts = step.Split('\n', 2);
            if (parts[0].StartsWith("Import-Module", StringComparison.Ordinal)) continue;
            var result = Session.Run(parts[0]);
            string errors = string.Concat(result.Errors.Select(e => $"{parts[0].Split(' ')[0]}: {e.Message}\n"));
            Assert.Equal($"{parts[0]}\n{Masked(parts[1])}", $"{parts[0]}\n{Masked(result.Host + result.Text + errors)}");
        }
    }

    [Fact]
    public void The_clones_can_be_retyped()
    {
        string block = ClonesBlock().Match(File.ReadAllText(Path.Combine(Repository.Root, "README.md"))).Groups[1].Value;
        MakeVm("web01");
        Run("New-VmSnapshot web01 installed");

        foreach (string line in block.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            Run(line);
            if (line.Contains("Wait-SnapshotOperation", StringComparison.Ordinal)) Assert.Empty(Run("Get-SnapshotOperation -State Running, Pending").Output);
        }

        Assert.Equal(20, Run("Get-VmInstance node-*").Output.Count);
    }

    /// <summary>Ids, times, numbers and the width of columns may differ.</summary>
    private static string Masked(string text) =>
        string.Join('\n', Number().Replace(text, "#").Split('\n').Select(l => Space().Replace(l, " ").Trim()).Where(l => l.Length > 0 && !l.StartsWith("--", StringComparison.Ordinal)));

    [GeneratedRegex("```powershell\n(PS> Import-Module.*?)```", RegexOptions.Singleline)]
    private static partial Regex SessionBlock();

    [GeneratedRegex("## Clones\n\n```powershell\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex ClonesBlock();

    [GeneratedRegex(@"\b[0-9a-f]{8}\b|[0-9][0-9.:-]*( [KMGT]?i?B\b)?")]
    private static partial Regex Number();

    [GeneratedRegex(" +")]
    private static partial Regex Space();
}
