using SnapshotTools.Cmdlet.Tests.Engine;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests;

/// <summary>One PowerShell for all tests of the cmdlets, which run in it one after the other.</summary>
[CollectionDefinition(nameof(ModuleTests))]
public sealed class ModuleTests : ICollectionFixture<PwshSession>;

/// <summary>A test with a new, empty store, which cmdlets use when they are told no other.</summary>
[Collection(nameof(ModuleTests))]
public abstract class ModuleTest
{
    private static int _count;

    protected ModuleTest(PwshSession session)
    {
        Session = session;
        Store = session.File($"store{Interlocked.Increment(ref _count)}");
        Run($"Set-Location '{session.Folder}'; $env:SNAPSHOTTOOLS_STORE = '{Store}'; $ConfirmPreference = 'High'; Initialize-SnapshotStore");
    }

    protected PwshSession Session { get; }

    /// <summary>The store's directory.</summary>
    protected string Store { get; }

    /// <summary>Runs a script that must succeed.</summary>
    protected PwshResult Run(string script, params string[] answers) => Session.Run(script, answers).Succeeded();

    /// <summary>Runs a script that must fail with one error.</summary>
    protected Driver.ErrorLine Fail(string id, string script, params string[] answers) => Session.Run(script, answers).Failed(id);

    /// <summary>The output of a script that must succeed, as texts.</summary>
    protected string[] Texts(string script, params string[] answers) => [.. Run(script, answers).Output.Select(o => o.ToString())];

    /// <summary>Makes a VM with a boot volume NAME-root and a data volume NAME-data, both small.</summary>
    protected void MakeVm(params string[] names)
    {
        foreach (string name in names)
            Run($"New-VmVolume {name}-root 16MB; New-VmVolume {name}-data 32MB; New-VmInstance {name} {name}-root, {name}-data -ProcessorCount 2 -MemoryBytes 512MB");
    }

    /// <summary>All that a store holds, to be compared before and after.</summary>
    protected string[] Everything() => Texts("Get-VmInstance | % { \"$_ $($_.State) $($_.Volumes) $($_.CurrentSnapshot)\" }; Get-VmVolume | % { \"$_ $($_.SizeBytes) $($_.HeadPath)\" }; " +
        "Get-VmSnapshot | % { \"$_ $($_.Id) $($_.VmName) $($_.ParentId) $($_.Description) $($_.Tags) $($_.ExpiresAt)\" }; Get-VolumeSnapshot | % { \"$_ $($_.Id) $($_.Path)\" }; (Get-ChildItem $env:SNAPSHOTTOOLS_STORE -Recurse -Filter *.qcow2).FullName");
}
