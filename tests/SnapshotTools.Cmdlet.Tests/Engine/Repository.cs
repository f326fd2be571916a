namespace SnapshotTools.Cmdlet.Tests.Engine;

/// <summary>Where things are in the checkout, and the module's folder as the tests see it.</summary>
internal static class Repository
{
    private static readonly Lazy<string> Published = new(Publish);

    /// <summary>The checkout.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>The launcher of PowerShell.</summary>
    public static string Pwsh => Path.Combine(Root, "build", "pwsh");

    /// <summary>The module's folder, assembled from the present build once in a test run.</summary>
    public static string Module => Published.Value;

    /// <summary>The build that the tests are of.</summary>
    public static string Configuration =>
#if DEBUG
        "Debug";
#else
        "Release";
#endif

    private static string Publish()
    {
        string folder = Path.Combine(AppContext.BaseDirectory, "module", "SnapshotTools");
        var (exitCode, output) = Testing.Tool.TryRun(
            "bash", [Pwsh, "-NoProfile", "-NonInteractive", "-File", Path.Combine(Root, "build", "Publish-Module.ps1"), "-Configuration", Configuration, "-Destination", folder], timeoutSeconds: 600);
        return exitCode == 0 ? folder : throw new InvalidOperationException($"The module was not assembled:\n{output}");
    }

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "SnapshotTools.sln"))) return folder.FullName;
        throw new InvalidOperationException("The tests run from a checkout.");
    }
}
