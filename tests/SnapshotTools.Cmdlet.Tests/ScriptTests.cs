using SnapshotTools.Cmdlet.Tests.Engine;
using SnapshotTools.Testing;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests;

/// <summary>How a script or a shell sees the cmdlets: by exit code, without a terminal.</summary>
public sealed class ScriptTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Exit_codes_and_output_without_a_terminal()
    {
        string store = _folder.File("store");
        File.WriteAllText(_folder.File("nightly.ps1"), $$"""
            param([string] $Vm)
            $ErrorActionPreference = 'Stop'
            Import-Module '{{Repository.Module}}'
            if (-not (Test-Path '{{store}}')) {
                $null = Initialize-SnapshotStore '{{store}}'
                $null = New-VmVolume root 1MB -Store '{{store}}'
                $null = New-VmInstance web01 root -Store '{{store}}'
            }
            New-VmSnapshot $Vm nightly -Ensure -Store '{{store}}'
            Remove-VmSnapshot $Vm nightly -Store '{{store}}' -Confirm:$false -Force
            """);

        var (exitCode, output) = Pwsh("web01");
        Assert.True(exitCode == 0, output);
        Assert.Contains("nightly", output, StringComparison.Ordinal);

        (exitCode, output) = Pwsh("nosuch");
        Assert.Equal(1, exitCode);
        Assert.Contains("nosuch", output, StringComparison.Ordinal);
    }

    private (int ExitCode, string Output) Pwsh(string vm) =>
        Tool.TryRun("bash", [Repository.Pwsh, "-NoProfile", "-NonInteractive", "-File", _folder.File("nightly.ps1"), vm]);
}
