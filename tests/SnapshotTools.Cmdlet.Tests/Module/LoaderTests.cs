using System.Reflection;
using System.Reflection.Emit;
using SnapshotTools.Cmdlet.Tests.Engine;
using Xunit;

namespace SnapshotTools.Cmdlet.Tests.Module;

/// <summary>That the module can be imported anywhere, again, and beside anything.</summary>
public sealed class LoaderTests(PwshSession session) : IClassFixture<PwshSession>
{
    private const string Contexts = """
        function Get-Loaded([string] $Name) {
            [AppDomain]::CurrentDomain.GetAssemblies() | Where-Object { $_.GetName().Name -eq $Name } | ForEach-Object {
                '{0} in {1}' -f $_.GetName().Version, [System.Runtime.Loader.AssemblyLoadContext]::GetLoadContext($_).Name
            }
        }
        """;

    [Theory]
    [InlineData("1.0.0.0")]
    [InlineData("99.0.0.0")]
    public void Works_beside_another_version_of_a_library(string version)
    {
        using var bare = new BareSession();
        string other = bare.File("SnapshotTools.Qcow2.dll");
        SaveEmptyLibrary("SnapshotTools.Qcow2", version, other);

        var result = bare.Run($"""
            {Contexts}
            Add-Type -Path '{other}'
            Import-Module '{Repository.Module}'
            $null = Initialize-SnapshotStore
            $null = New-VmVolume os 1MB
            Get-Loaded SnapshotTools.Qcow2
            """).Succeeded();

        Assert.Equivalent(new[] { "0.1.0.0 in SnapshotTools", $"{version} in Default" }, result.Output.Select(o => o.ToString()), strict: true);
    }

    [Fact]
    public void Only_the_cmdlets_and_the_loader_are_in_PowerShells_own_context()
    {
        var result = session.Run("""
            $null = Initialize-SnapshotStore ./opened
            $base = (Get-Module SnapshotTools).ModuleBase
            [System.Runtime.Loader.AssemblyLoadContext]::Default.Assemblies | Where-Object { -not $_.IsDynamic -and $_.Location.StartsWith($base) } | ForEach-Object { $_.GetName().Name }
            """).Succeeded();

        Assert.Equal(["SnapshotTools", "SnapshotTools.Loader"], result.Output.Select(o => o.ToString()).Order());
    }

    [Theory]
    [InlineData("Import-Module $base -Force")]
    [InlineData("Remove-Module SnapshotTools; Import-Module $base")]
    public void A_second_import_exports_again(string import)
    {
        var result = session.Run($"$base = (Get-Module SnapshotTools).ModuleBase; $before = @(Get-Command -Module SnapshotTools); {import}; $before.Count; @(Get-Command -Module SnapshotTools).Count").Succeeded();

        Assert.NotEqual("0", result.Output[0].ToString());
        Assert.Equal(result.Output[0].ToString(), result.Output[1].ToString());
    }

    [Fact]
    public void Runspaces_of_one_process_share_the_libraries()
    {
        var result = session.Run("""
            $base = (Get-Module SnapshotTools).ModuleBase
            1..2 | ForEach-Object -Parallel { Import-Module $using:base; @(Get-Command -Module SnapshotTools).Count -gt 0 }
            @([AppDomain]::CurrentDomain.GetAssemblies() | Where-Object { $_.GetName().Name -eq 'SnapshotTools.Core' }).Count
            """).Succeeded();

        Assert.Equal(["true", "true", "1"], result.Output.Select(o => o.ToString()));
    }

    [Fact]
    public void Another_version_in_one_session_is_refused_and_harms_nothing()
    {
        session.Run("Copy-Item -Recurse (Get-Module SnapshotTools).ModuleBase ./SnapshotTools").Succeeded();
        SaveEmptyLibrary("SnapshotTools.Loader", "0.1.0.0", session.File("SnapshotTools/SnapshotTools.Loader.dll"));

        var result = session.Run("Import-Module ./SnapshotTools; (Get-Module SnapshotTools).ModuleBase; (Initialize-SnapshotStore ./still).VmCount");

        Assert.Contains("is already loaded", Assert.Single(result.Errors).Message, StringComparison.Ordinal);
        Assert.Equal([Repository.Module, "0"], result.Output.Select(o => o.ToString()));
    }

    [Fact]
    public void Types_of_the_objects_can_be_named() =>
        Assert.Equal("SnapshotTools.Core.VmSnapshot", session.Run("[SnapshotTools.Core.VmSnapshot].FullName").Succeeded().Output[0].ToString());

    [Fact]
    public void The_folder_is_found_by_name_on_a_module_path()
    {
        using var bare = new BareSession();

        var result = bare.Run($"""
            $env:PSModulePath = '{Path.GetDirectoryName(Repository.Module)}' + [IO.Path]::PathSeparator + $env:PSModulePath
            (Get-Command Get-VmVolume).Source
            (Get-Module SnapshotTools).Name
            """).Succeeded();

        Assert.Equal("SnapshotTools", result.Output[0].ToString());
    }

    private static void SaveEmptyLibrary(string name, string version, string path)
    {
        var assembly = new PersistedAssemblyBuilder(new AssemblyName(name) { Version = new Version(version) }, typeof(object).Assembly);
        assembly.DefineDynamicModule(name).DefineType("Empty", TypeAttributes.Public).CreateType();
        assembly.Save(path);
    }

    private sealed class BareSession : PwshSession
    {
        public BareSession()
            : base(importModule: false)
        {
        }
    }
}
